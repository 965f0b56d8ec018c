"""What a model must show before it is installed, each with its line if it does not.

Its signature, its contract, that it fits the run, its golden samples, and the memory it needs. The
interpreter meets it in a child process, with no more memory than it may have and no rights to abuse.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgecam import contract, minisign
from edgecam.config import ENGINE, OPTIONS, Settings
from edgecam.contract import ModelSpec
from edgecam.engines import probe
from edgecam.errors import EdgecamError, ModelError, QualityError, UsageError
from edgecam.minisign import PublicKey, SignatureError
from edgecam.slots.state import Slot
from edgecam.slots.store import Store

log = logging.getLogger(__name__)

TIMEOUT = 300.0  # seconds for the child; a large model on a small board takes a while
SHARE = 0.9  # of what is free that a new model may take
MB = 1e6
_CODE = "import sys; sys.path.append(sys.argv[1]); from edgecam.slots.child import child; child()"


@dataclass(frozen=True)
class Rules:
    """What is asked of a model.

    Attributes:
        keys: that are trusted.
        signed: one of them must have signed it.
        golden: it must carry golden samples.
        memory: bytes that it may take, 0 for what is free.
        engine: the settings of the engine, by name.
        fits: raises what keeps a model out of the run it is meant for.
    """

    keys: Sequence[PublicKey] = ()
    signed: bool = False
    golden: bool = True
    memory: int = 0
    engine: tuple[tuple[str, Any], ...] = ()
    fits: Callable[[ModelSpec], None] = lambda spec: None

    @classmethod
    def of(cls, settings: Settings, fits: Callable[[ModelSpec], None] = lambda spec: None) -> Rules:
        """
        Raises:
            UsageError: a trusted key that cannot be read.
        """
        kept = {key: getattr(settings, key) for key, option in OPTIONS.items() if option.section == ENGINE}
        return cls(
            keys=minisign.load_keys(settings.trusted_keys),
            signed=settings.require_signature,
            memory=int(settings.slot_memory * MB),
            engine=tuple(kept.items()),
            fits=fits,
        )


def install(
    store: Store, data: bytes, signature: str, rules: Rules, *, name: str = "", title: str = "the model"
) -> Slot:
    """Check a model and make it a slot.

    Args:
        data: the model's file.
        signature: the text of its signature, "" without one.
        name: of the slot; made of the model's name and version if "".
        title: what to call the file in errors.

    Raises:
        ModelError, QualityError, UsageError: what is wrong with it; nothing is installed.
    """
    key = signed_by(data, signature, rules, title)
    allowed = check_memory(title, len(data), rules.memory)
    digest = store.put(data)
    try:
        slot = replace(_inspect(store, digest, rules, title, allowed), key=key, size=len(data))
        slot = replace(slot, name=name or slot.name)
        state = store.change(lambda state: state.install(slot))
    finally:
        with contextlib.suppress(EdgecamError):  # what was refused leaves nothing behind
            store.tidy()
    found = state.slot(digest)
    assert found is not None
    return found


def signed_by(data: bytes, signature: str, rules: Rules, title: str) -> str:
    """The name of the trusted key that has signed a file; "" for one that needs none.

    Raises:
        SignatureError: see :func:`edgecam.minisign.verify`; or there is no signature and one is asked for.
    """
    if not signature:
        if rules.signed:
            raise SignatureError(
                f"{title} is not signed, and only signed models are taken here",
                "edgecam-convert sign, and bring the .minisig along",
            )
        return ""
    parsed = trusted(signature, rules, title)
    return "" if parsed is None else minisign.verify(data, parsed, rules.keys, title).name


def trusted(signature: str, rules: Rules, title: str) -> minisign.Signature | None:
    """A signature by a trusted key, not held against the file yet; None where no key is trusted or asked for.

    Raises:
        SignatureError: it is by another key, or no signature.
    """
    parsed = minisign.parse_signature(signature, f"the signature of {title}")
    if not rules.keys and not rules.signed:
        log.warning("%s is signed by %s, but no key is trusted here: not checked", title, parsed.key_name)
        return None
    minisign.find_key(parsed, rules.keys, title)
    return parsed


def _inspect(store: Store, digest: str, rules: Rules, title: str, allowed: int) -> Slot:
    path = store.path(digest)
    try:
        spec = contract.read(path)
    except EdgecamError as error:
        message = error.message.replace(str(path), title)
        raise type(error)(message, error.remedy) from error
    if spec is None:
        raise ModelError(f"{title} carries no contract", "make it with edgecam-convert, or embed one there")
    if rules.golden and not spec.golden:
        raise ModelError(
            f"{title} carries no golden samples", "make it again with them, or install it --without-golden"
        )
    rules.fits(spec)
    answer = _ask_child(store, path, rules, title, allowed)
    problems = [str(problem) for problem in answer.get("problems", ())]
    if problems:
        more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
        raise QualityError(f"{title} fails its golden samples here: {problems[0]}{more}", "convert it again")
    need = int(answer.get("need", 0))
    check_memory(title, need, rules.memory)
    version = f"-{spec.version}" if spec.version else ""
    return Slot(
        name=f"{spec.name}{version}",
        sha256=digest,
        size=0,
        model=spec.name,
        version=spec.version,
        task=spec.task,
        golden=len(spec.golden),
        need=need,
        ms=round(float(answer.get("ms", 0.0)), 2),
        installed=round(time.time(), 3),
    )


def _ask_child(store: Store, path: Path, rules: Rules, title: str, allowed: int) -> dict[str, Any]:
    """Run it in a child; what that says.

    Raises:
        ModelError: it crashes, hangs, needs too much memory or cannot be loaded.
    """
    request = {"model": str(path), "memory": allowed, "engine": dict(rules.engine)}
    owner = store.owner()
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _CODE, probe.ROOT],
            input=json.dumps(request).encode(),
            capture_output=True,
            timeout=TIMEOUT,
            check=False,
            env=os.environ if owner is None else {**os.environ, "HOME": str(store.folder)},
            user=None if owner is None else owner[0],
            group=None if owner is None else owner[1],
            extra_groups=None if owner is None else (),
        )
    except subprocess.TimeoutExpired:
        raise ModelError(f"{title} did not answer within {TIMEOUT:.0f} s", "try a smaller model") from None
    except OSError as error:  # root looks at it as the user of the service, who need not see root's program
        raise ModelError(
            f"{sys.executable} cannot be run as the owner of {store.folder} ({error.strerror})",
            "take the service's own program: /opt/edgecam/current/bin/edgecam",
        ) from error
    said = done.stderr.decode("utf-8", "replace")
    log.debug("check of %s: %s", title, said)
    if done.returncode == 0:
        with contextlib.suppress(ValueError):
            answer: dict[str, Any] = json.loads(done.stdout)
            if answer.get("error"):
                raise ModelError(str(answer["error"]).replace(str(path), title), "convert it again")
            return answer
    if "bad_alloc" in said or "MemoryError" in said or "Cannot allocate" in said:
        raise _too_large(title, 0, allowed)
    died = f"exit code {done.returncode}"
    if done.returncode < 0:
        died = signal.Signals(-done.returncode).name
    raise ModelError(f"{title} brings the interpreter down ({died})", "convert it again")


def check_memory(title: str, need: int, allowed: int) -> int:
    """Bytes that a model may take: ``allowed``, or for 0 of what is free; 0 if nobody knows.

    Raises:
        ModelError: it needs more.
    """
    allowed = allowed or int(free_memory() * SHARE)
    if need > allowed > 0:
        raise _too_large(title, need, allowed)
    return allowed


def _too_large(title: str, need: int, allowed: int) -> ModelError:
    needs = f"needs {need / MB:.1f} MB" if need else "needs more memory than there is"
    return ModelError(
        f"{title} {needs}; it may take {allowed / MB:.1f} MB beside the running model",
        "take a smaller model, or end what else runs here",
    )


def free_memory(
    meminfo: Path = Path("/proc/meminfo"),
    group: Path = Path("/proc/self/cgroup"),
    groups: Path = Path("/sys/fs/cgroup"),
) -> int:
    """Bytes that can still be had: of the machine, and of this process's control groups. 0 if unknown."""
    free = []
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = meminfo.read_text(encoding="ascii").splitlines()
        free.append(int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1]) * 1024)
    with contextlib.suppress(OSError):
        # cgroups(7), version 2: one line, 0::/path
        path = group.read_text(encoding="utf-8").rpartition("::")[2].strip().strip("/")
        place = groups / path
        while place != groups.parent:
            with contextlib.suppress(OSError, ValueError):
                most = int((place / "memory.max").read_text())
                free.append(max(0, most - int((place / "memory.current").read_text())))
            place = place.parent
    return min(free, default=0)


def read_bundle(path: Path, signature: Path | None = None) -> tuple[bytes, str]:
    """A model's file, and the text of the signature beside it ("" if there is none).

    Raises:
        UsageError: a file that cannot be read.
    """
    beside = path.with_name(path.name + minisign.SUFFIX)
    try:
        data = path.read_bytes()
        if signature is None and not beside.is_file():
            return data, ""
        with (signature or beside).open("rb") as file:
            return data, file.read(minisign.LIMIT).decode("utf-8", "replace")
    except OSError as error:
        raise UsageError(
            f"{error.filename} cannot be read ({error.strerror})", "name a .tflite file"
        ) from error
