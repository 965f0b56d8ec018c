"""Google's ``edgetpu_compiler``: run it, and read what it says.

Source of the log's format: https://coral.ai/docs/edgetpu/compiler, and logs of compiler 16.0 that users have
published (the table is printed with ``--show_operations``).
"""

from __future__ import annotations

import logging
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgecam.errors import EdgecamError, ModelError

log = logging.getLogger(__name__)

NAME = "edgetpu_compiler"
MAPPED = "Mapped to Edge TPU"
TIMEOUT = 180  # seconds, the compiler's own default
GRACE = 30.0  # seconds more, after which it is ended from outside
_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


@dataclass(frozen=True)
class Row:
    """Operators of one kind that met the same fate.

    Attributes:
        name: as in the schema (``CONV_2D``).
        count: how many.
        status: the compiler's words.
    """

    name: str
    count: int
    status: str

    @property
    def mapped(self) -> bool:
        return self.status == MAPPED


@dataclass(frozen=True)
class Log:
    """What the compiler said.

    Attributes:
        version: of the compiler.
        rows: its table of operators.
        on_tpu: operators on the Edge TPU.
        on_cpu: operators on the CPU.
        subgraphs: parts on the Edge TPU.
        on_chip: bytes of parameters kept on the chip.
        off_chip: bytes of parameters sent for every picture, which is slow.
    """

    version: str
    rows: tuple[Row, ...]
    on_tpu: int
    on_cpu: int
    subgraphs: int
    on_chip: int
    off_chip: int

    @property
    def summary(self) -> str:
        """One line."""
        total = self.on_tpu + self.on_cpu
        told = f"{self.on_tpu} of {total} operators" if self.on_cpu else f"all {total} operators"
        spill = f", {self.off_chip / 2**20:.2f} MiB of parameters do not fit on it" if self.off_chip else ""
        return f"{told} on the Edge TPU{spill} ({NAME} {self.version})"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "summary": self.summary}


def find(path: str = "") -> Path:
    """The compiler.

    Args:
        path: where it is, if not on the ``PATH``.

    Raises:
        EdgecamError: it is not there; the remedy fits this machine.
    """
    found = shutil.which(path or NAME)
    if found:
        return Path(found)
    if path:
        raise EdgecamError(f"{path} is not a program", f"name the {NAME} with --compiler")
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "AMD64"):
        here = f"{platform.machine()} {sys.platform}"
        raise EdgecamError(
            f"{NAME} exists for x86-64 Linux alone, this is {here}",
            f"copy the file to such a machine and compile it there: {NAME} -s FILE",
        )
    source = "apt install edgetpu-compiler, after adding Google's package source: see docs/coral.md"
    raise EdgecamError(f"{NAME} is not installed", source)


def run(compiler: Path, model: bytes, timeout: int = TIMEOUT) -> tuple[bytes, Log]:
    """Compile a model.

    Args:
        compiler: see :func:`find`.
        model: an int8 ``.tflite``.
        timeout: seconds that the compiler may take.

    Returns:
        The compiled model, without contract, and the log.

    Raises:
        ModelError: the compiler refuses the model; the message is its own.
        EdgecamError: it cannot be run, or does not end.
    """
    with tempfile.TemporaryDirectory(prefix="edgecam-") as name:
        folder = Path(name)
        source = folder / "model.tflite"
        source.write_bytes(model)
        command: Sequence[str] = (
            str(compiler),
            "--show_operations",
            "--timeout_sec",
            str(timeout),
            "--out_dir",
            name,
            str(source),
        )
        limit = timeout + GRACE
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, errors="replace", timeout=limit, check=False
            )
        except subprocess.TimeoutExpired as error:
            why = f"{compiler} did not end within {limit:g} s"
            raise EdgecamError(why, "give it more with --timeout") from error
        except OSError as error:
            raise EdgecamError(f"cannot run {compiler} ({error.strerror})", "check the file") from error
        compiled = folder / "model_edgetpu.tflite"
        said = done.stdout + done.stderr
        if done.returncode or not compiled.exists():
            log.info("%s said: %s", compiler, said)
            why = f"{NAME} refuses the model: {complaint(said)}"
            raise ModelError(why, "see above what stays on the CPU, and why")
        return compiled.read_bytes(), parse(said)


def complaint(said: str) -> str:
    """The line of a failed run's output that tells most."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = ("not quantized", "ERROR", "Invalid", "Internal", "timed out", "timeout", "dynamic")
    for word in telling:
        for line in lines:
            if word.lower() in line.lower() and "timeout timer" not in line and "within timeout" not in line:
                return line.removeprefix("ERROR: ").rstrip("!.")
    return lines[-1].rstrip("!.") if lines else "it says nothing"


def parse(said: str) -> Log:
    """Read the output of a run that succeeded.

    Raises:
        EdgecamError: this is no output of the compiler.
    """
    version = _text(r"Compiler version (\S+)", said)
    rows = tuple(
        Row(match[1], int(match[2]), match[3])
        for match in re.finditer(r"^([\w-]+) +(\d+) +(\S.*?)\s*$", _table(said), re.MULTILINE)
    )
    if not version or not rows:
        log.info("%s said: %s", NAME, said)
        raise EdgecamError(f"the output of {NAME} is not understood", "run it with -v to see what it said")
    will_run = "Number of operations that will run on"
    on_tpu, on_cpu = (_text(rf"{will_run} {where}: (\d+)", said) for where in ("Edge TPU", "CPU"))
    return Log(
        version,
        rows,
        # Where all are mapped it gives the table alone.
        int(on_tpu) if on_tpu else sum(row.count for row in rows if row.mapped),
        int(on_cpu) if on_cpu else sum(row.count for row in rows if not row.mapped),
        int(_text(r"Number of Edge TPU subgraphs: (\d+)", said) or 0),
        _bytes("On-chip memory used for caching model parameters", said),
        _bytes("Off-chip memory used for streaming uncached model parameters", said),
    )


def _table(said: str) -> str:
    return re.split(r"^Operator +Count +Status *$", said, maxsplit=1, flags=re.MULTILINE)[-1]


def _text(pattern: str, said: str) -> str:
    match = re.search(pattern, said)
    return match[1] if match else ""


def _bytes(what: str, said: str) -> int:
    match = re.search(rf"{re.escape(what)}: ([\d.]+)(B|KiB|MiB|GiB)", said)
    return round(float(match[1]) * _UNITS[match[2]]) if match else 0
