"""What the settings ask for: a valid file, a model that answers, a port that is free."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecam import config_load, registry
from edgecam.config import Settings
from edgecam.doctor import processes
from edgecam.doctor.context import Context, settings_of
from edgecam.doctor.findings import Finding, failure, ok, warning
from edgecam.doctor.isolated import Outcome
from edgecam.errors import EdgecamError, UsageError

_HERE = "edgecam.doctor.setup"
MODEL_TIMEOUT = 150.0  # seconds: an unknown model is tried once more in a process of its own
MODEL_MEMORY = 4 << 30


# -- settings


def judge_settings(
    files: Sequence[Path], problem: EdgecamError | None, readable: Sequence[Path]
) -> Iterator[Finding]:
    """
    Args:
        files: that were read.
        problem: why they could not be.
        readable: those of them that hold a secret and that others may read.
    """
    check = "settings"
    if problem is not None:
        yield failure(check, problem.message, problem.remedy)
        return
    for path in readable:
        yield warning(
            check,
            f"{path} holds a secret and others may read it",
            f"chmod {config_load.safe_mode(path)} {path}",
        )
    if not readable:
        yield ok(check, ", ".join(map(str, files)) or "no file, the defaults are in effect")


def readable_by_others(files: Sequence[Path], settings: Settings) -> list[Path]:
    """The files that others may read though they may hold a secret."""
    if not config_load.holds_secret(vars(settings)):
        return []
    return [path for path in files if config_load.exposed(path)]


# -- model


def try_model(settings: dict[str, Any]) -> dict[str, Any]:
    """In the child: load the model, let it look at a grey picture twice, and run its golden samples."""
    import time

    import numpy as np

    from edgecam import build
    from edgecam.types import Frame

    chosen = settings_of(settings)
    build.check(chosen)
    model = build.load_model(chosen)
    grey = np.full((480, 640, 3), 127, np.uint8)
    model.run(Frame(0, grey))
    began = time.monotonic()
    model.run(Frame(1, grey))
    milliseconds = (time.monotonic() - began) * 1000
    engine = model.engine
    engine.close()
    samples, problems = verify(chosen) if chosen.engine == "litert" else (0, [])
    return {
        "name": model.name,
        "device": engine.device,
        "runtime": engine.runtime,
        "ms": milliseconds,
        "notes": list(engine.notes),
        "samples": samples,
        "problems": problems,
    }


def verify(settings: Settings) -> tuple[int, list[str]]:
    """In the child: how many golden samples the model's file carries, and what is not as promised."""
    from edgecam import build, catalogue, contract
    from edgecam import verify as verifying
    from edgecam.types import Frame

    path = catalogue.find(settings.model).path
    carried = contract.read(path)
    if carried is None or not carried.golden:
        return 0, []
    spec, samples = verifying.load(path)
    # The file's own word counts here, and what it promises lies below the thresholds that people set.
    engine = ("engine", "runtime", "device", "delegate", "require_delegate", "threads")
    plain = Settings(
        model=settings.model,
        threshold=verifying.lowest(samples),
        **{name: getattr(settings, name) for name in engine},
    )
    model = build.load_model(plain)
    outcomes = [
        verifying.check(sample, model.run(Frame(n, sample.image)), spec.labels)
        for n, sample in enumerate(samples)
    ]
    model.engine.close()
    return len(samples), [f"{o.name}: {'; '.join(o.problems)}" for o in outcomes if not o.passed]


def judge_model(outcome: Outcome, name: str) -> Iterator[Finding]:
    check = "model"
    if outcome.error:
        remedy = outcome.remedy or "try another model or --runtime; edgecam model list shows the names"
        yield failure(check, f"{name}: {outcome.error}" if outcome.crashed else outcome.error, remedy)
        return
    found = outcome.value
    for note in found["notes"]:
        yield warning(check, note, "see the Edge TPU's line")
    where = f"on {found['device']}, {found['runtime']}"
    if found["problems"]:
        yield failure(
            check,
            f"{found['name']} {where}: {len(found['problems'])} of {found['samples']} golden samples are not "
            f"as promised ({found['problems'][0]})",
            "try another --runtime or --device, and fetch or convert the model again",
        )
        return
    proof = f", {found['samples']} golden samples as promised" if found["samples"] else ""
    yield ok(check, f"{found['name']} answers in {found['ms']:.0f} ms {where}{proof}")


# -- port


@dataclass(frozen=True)
class Door:
    """An address that the page wants to listen on.

    Attributes:
        host, port: the address.
        error: errno of trying, 0 if it is free; -1 if the host has no address.
        holder: the program that has it, "" if that is not to be seen.
        ours: processes of edgecam that run already.
    """

    host: str
    port: int
    error: int = 0
    holder: str = ""
    ours: tuple[int, ...] = ()


def addresses(settings: Settings) -> list[tuple[str, int]]:
    """(host, port) of each web sink.

    Raises:
        UsageError: a sink that cannot be.
    """
    out = []
    for text in settings.sinks:
        uri = registry.sink_uri(text)
        if uri.scheme != "web":
            continue
        host, port = settings.address
        if uri.path.startswith("//"):
            host, port = uri.netloc[0] or "127.0.0.1", 8080 if uri.netloc[1] is None else uri.netloc[1]
        elif uri.path.isdecimal():
            host, port = "127.0.0.1", int(uri.path)
        number = uri.query.get("port", str(port))
        if not number.isdecimal() or int(number) > 65535:
            raise UsageError(f"{uri.safe}: no such port", "choose one from 1 to 65535")
        out.append((host, int(number)))
    return out


def knock(host: str, port: int, proc: Path = Path("/proc")) -> Door:
    """Whether one could listen there."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        return Door(host, port, -1)
    family, kind, protocol, _, address = found[0]
    with socket.socket(family, kind, protocol) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(address)
            sock.listen()
        except OSError as error:
            holder = processes.listener(port, proc) if error.errno == errno.EADDRINUSE else ""
            return Door(host, port, error.errno or -1, holder, processes.running("edgecam", proc))
    return Door(host, port)


def judge_port(door: Door) -> Finding:
    check, where = "port", f"{door.host} port {door.port}"
    if door.error == 0:
        return ok(check, f"{where} is free" if door.port else "any free one")
    if door.error == errno.EADDRINUSE:
        ours = f"edgecam (pid {door.ours[0]})" if door.ours else ""
        if "edgecam" in door.holder or (ours and not door.holder):
            holder = door.holder or ours
            return warning(check, f"{where} is in use by {holder}: it runs already", "stop that one first")
        other = door.port + 1 if door.port < 65535 else 8080
        unseen = "" if door.holder else "; sudo edgecam doctor shows by whom"
        return failure(
            check,
            f"{where} is in use by {door.holder or 'another program'}",
            f"choose another: --listen {door.host}:{other}{unseen}",
        )
    if door.error in (errno.EACCES, errno.EPERM):
        return failure(check, f"{where} is not allowed for this user", "choose a port above 1023")
    if door.error == errno.EADDRNOTAVAIL:
        return failure(
            check, f"this machine has no address {door.host}", "listen on 127.0.0.1, or 0.0.0.0 for all"
        )
    if door.error == -1:
        return failure(check, f"unknown host {door.host!r}", "listen on 127.0.0.1, or 0.0.0.0 for all")
    return failure(check, f"{where}: {os.strerror(door.error)}", "choose another address")


def check_settings(context: Context) -> Iterator[Finding]:
    """The settings' files, read from the machine."""
    readable = readable_by_others(context.files, context.settings)
    yield from judge_settings(context.files, context.problem, readable)


def check_model(context: Context) -> Iterator[Finding]:
    """The model, tried in a child process."""
    outcome = context.call(
        f"{_HERE}:try_model",
        {"settings": context.plain_settings},
        timeout=MODEL_TIMEOUT,
        memory=MODEL_MEMORY,
    )
    yield from judge_model(outcome, context.settings.model)


def check_port(context: Context) -> Iterator[Finding]:
    """The addresses of the page, tried out."""
    try:
        for host, port in addresses(context.settings):
            yield judge_port(knock(host, port, context.proc))
    except EdgecamError as error:
        yield failure("port", error.message, error.remedy)
