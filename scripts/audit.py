"""Asks OSV (osv.dev) for known holes in the packages of requirements/, by pip-audit.

Exit code 1 if there are any. Where pip-audit or the network is missing it says so in one line, and ends with
0: an audit that could not be done is no finding.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = "api.osv.dev"


def main() -> int:
    program = shutil.which("pip-audit") or shutil.which("pip-audit", path=str(Path(sys.executable).parent))
    if program is None:
        print("audit: skipped, pip-audit is not installed: pipx install pip-audit")
        return 0
    try:
        socket.create_connection((SOURCE, 443), timeout=5).close()
    except OSError as error:
        print(f"audit: skipped, {SOURCE} cannot be reached ({error.strerror or error})")
        return 0
    code = 0
    for path in sorted((ROOT / "requirements").glob("*.txt")):
        print(f"audit: {path.relative_to(ROOT)}", flush=True)
        argv = [
            program,
            "--requirement",
            str(path),
            "--require-hashes",
            "--disable-pip",
            "--vulnerability-service",
            "osv",
        ]
        code |= subprocess.run(argv, check=False).returncode
    return 1 if code else 0


if __name__ == "__main__":
    sys.exit(main())
