"""HTTPS: a certificate that is made and kept, or the user's own."""

from __future__ import annotations

import hashlib
import shutil
import ssl
import stat
from pathlib import Path

import httpx
import pytest

from edgecam.errors import SinkError, UsageError
from edgecam.sinks.web import tls
from tests.sinks.web_support import Camera, Reports, make, running

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="apt install openssl")


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "edgecam"


def test_a_certificate_is_made_told_and_kept(state: Path) -> None:
    reports = Reports()
    with running("web:?port=0&tls=yes&token=secret", reports) as sink:
        assert sink.url.startswith("https://")
        certificate, key = state / "page.crt", state / "page.key"
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        pem = certificate.read_text()
        digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest().upper()
        shown = ":".join(digest[i : i + 2] for i in range(0, 64, 2))
        assert reports.lines[1].endswith(f"SHA-256 fingerprint is {shown}")
        # Whoever trusts it, and nothing else, reaches the page by address and by name.
        trusting = ssl.create_default_context(cafile=str(certificate))
        with httpx.Client(verify=trusting) as client:
            sink.push(Camera().packet())
            answer = client.post(f"{sink.url}login", data={"token": "secret"})
            assert answer.status_code == 303
            cookie = answer.headers["set-cookie"]
            assert cookie.startswith("__Host-edgecam-") and cookie.endswith("; Secure")
            assert client.get(f"{sink.url}snapshot.jpg").status_code == 200
            assert client.get(sink.url.replace("127.0.0.1", "localhost") + "healthz").status_code == 200
        with pytest.raises(httpx.ConnectError):
            httpx.get(sink.url)
        with pytest.raises(httpx.HTTPError):
            httpx.get(sink.url.replace("https:", "http:"))
    with running("web:?port=0&tls=yes"):
        assert certificate.read_text() == pem


def test_one_that_is_broken_or_soon_over_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tls.own(tmp_path, ["cam.local", "192.0.2.7", "::1"]).fingerprint
    assert tls.own(tmp_path, ["cam.local"]).fingerprint == first
    (tmp_path / "page.key").write_text("rubbish")
    second = tls.own(tmp_path, ["cam.local"]).fingerprint
    assert second != first
    monkeypatch.setattr(tls, "SPARE", tls.DAYS + 1)
    assert tls.own(tmp_path, ["cam.local"]).fingerprint != second


def test_a_certificate_of_ones_own(tmp_path: Path) -> None:
    made = tls.own(tmp_path, ["127.0.0.1"])
    with running(f"web:?port=0&cert={made.certificate}&key={made.key}") as sink:
        context = ssl.create_default_context(cafile=str(made.certificate))
        assert httpx.get(f"{sink.url}api/session", verify=context).json()["way"] == "open"


@pytest.mark.parametrize("query", ["cert=/no/such&key=/no/such", "cert={here}&key={here}"])
def test_files_that_are_none_are_named(query: str, tmp_path: Path) -> None:
    here = tmp_path / "x"
    here.write_text("rubbish")
    sink = make("web:?port=0&" + query.format(here=here))
    with pytest.raises(SinkError, match="cannot be used"):
        sink.start(Reports().context())
    with pytest.raises(UsageError, match="belong together"):
        make("web:?cert=/x")


def test_without_openssl_the_remedy_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SinkError, match="apt install openssl"):
        tls.own(tmp_path, ["localhost"])
