"""Certificates of the page: the user's own, or one that is made at the first start.

It is made by the program ``openssl``, which every Debian with ``ca-certificates`` has: a Python package for
it would be larger than edgecam itself.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import shutil
import ssl
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from edgecam import state
from edgecam.errors import SinkError

#: Days that a certificate holds (Apple's browsers refuse more than 825), and that must be left at a start.
DAYS = 825
SPARE = 30
NAMES = ("page.crt", "page.key")

_CONFIG = """\
[req]
distinguished_name = subject
x509_extensions = extensions
prompt = no
[subject]
O = edgecam
CN = {name}
[extensions]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
subjectAltName = {names}
"""


@dataclass(frozen=True)
class Certificate:
    """Files of a certificate and its key.

    Attributes:
        made: edgecam has made it: no browser knows it, and people compare its fingerprint.
    """

    certificate: Path
    key: Path
    made: bool = False

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, as browsers show it: ``AB:CD:...``."""
        der = _first(self.certificate.read_text(encoding="ascii"))
        return _colons(hashlib.sha256(der).hexdigest())

    def check(self) -> None:
        """
        Raises:
            SinkError: not there, not readable, or not a pair.
        """
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.certificate, self.key, _no_password)
        except (OSError, ValueError) as error:
            why = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
            raise SinkError(
                f"web: {self.certificate} and {self.key} cannot be used ({why})",
                "name a certificate and its key, PEM, without a password, readable for this user",
            ) from error


def own(folder: Path, names: Iterable[str]) -> Certificate:
    """The certificate in a folder, made where there is none, or one that will not hold much longer.

    Args:
        names: host names and addresses that it is for.

    Raises:
        SinkError: openssl is not there or fails, or the folder cannot be written.
    """
    found = Certificate(folder / NAMES[0], folder / NAMES[1], made=True)
    if _holds(found):
        return found
    program = shutil.which("openssl")
    if program is None:
        raise SinkError(
            "web: tls=yes needs openssl to make a certificate", "sudo apt install openssl; or cert= and key="
        )
    with tempfile.TemporaryDirectory(prefix="edgecam-tls-") as work:
        certificate, key = _make(program, Path(work), list(names))
    try:
        state.write(found.key, key)
        state.write(found.certificate, certificate)
    except OSError as error:
        raise SinkError(
            f"web: the certificate cannot be kept in {folder} ({error.strerror})",
            "cert= and key= name files of your own",
        ) from error
    return found


def _make(program: str, work: Path, names: list[str]) -> tuple[bytes, bytes]:
    config, certificate, key = work / "config", work / NAMES[0], work / NAMES[1]
    spelled = ", ".join(f"{'IP' if _is_address(name) else 'DNS'}:{name}" for name in names)
    config.write_text(_CONFIG.format(name=names[0][:64], names=spelled), encoding="ascii")
    argv = [
        program,
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-sha256",
    ]
    argv += ["-days", str(DAYS), "-config", str(config), "-keyout", str(key), "-out", str(certificate)]
    environ = {"PATH": os.environ.get("PATH", os.defpath)}
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=environ,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SinkError("web: openssl does not run", "openssl version; or cert= and key=") from error
    if done.returncode:
        said = " ".join(done.stderr.split())[-200:]
        raise SinkError(
            f"web: openssl makes no certificate ({said})", "cert= and key= name files of your own"
        )
    return certificate.read_bytes(), key.read_bytes()


def _holds(found: Certificate) -> bool:
    """It is there, fits, and will hold for some time."""
    try:
        found.check()
    except SinkError:
        return False
    argv = ["openssl", "x509", "-checkend", str(SPARE * 24 * 3600), "-noout", "-in", str(found.certificate)]
    try:
        return (
            subprocess.run(
                argv, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60
            ).returncode
            == 0
        )
    except (OSError, subprocess.TimeoutExpired):
        return True  # nothing here could make a better one


def _first(pem: str) -> bytes:
    """The first certificate of a PEM file: the server's own."""
    end = "-----END CERTIFICATE-----"
    begin = pem.index("-----BEGIN CERTIFICATE-----")
    return ssl.PEM_cert_to_DER_cert(pem[begin : pem.index(end) + len(end)])


def _colons(digits: str) -> str:
    return ":".join(digits[i : i + 2] for i in range(0, len(digits), 2)).upper()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _no_password() -> str:
    """Asked where a key has a password; without this the terminal would be asked."""
    return ""
