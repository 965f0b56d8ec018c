"""Runs commands inside a virtual machine for :mod:`tests.system.virtual`, which sends them through a port.

Needs the standard library alone: it runs under the guest's own Python. One JSON object a line, both ways.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any


def port() -> int:
    """The open port that the host calls "edgecam"."""
    while True:
        for name in Path("/sys/class/virtio-ports").glob("*/name"):
            if name.read_text().strip() == "edgecam":
                return os.open(f"/dev/{name.parent.name}", os.O_RDWR)
        time.sleep(0.1)


def answer(request: dict[str, Any]) -> dict[str, Any]:
    try:
        done = subprocess.run(
            request["argv"],
            input=request["input"].encode(),
            capture_output=True,
            timeout=request["timeout"],
            check=False,
            cwd="/",
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"code": 127, "out": "", "err": str(error)}
    out, err = (text.decode("utf-8", "replace") for text in (done.stdout, done.stderr))
    return {"code": done.returncode, "out": out, "err": err}


def main() -> None:
    handle = port()
    with os.fdopen(os.dup(handle), "rb") as requests:
        while True:
            line = requests.readline()
            if not line:  # nobody is at the other end yet
                time.sleep(0.05)
                continue
            data = json.dumps(answer(json.loads(line))).encode() + b"\n"
            while data:
                data = data[os.write(handle, data) :]


if __name__ == "__main__":
    main()
