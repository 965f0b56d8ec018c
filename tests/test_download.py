"""Downloads: whole or not at all, from where they stopped, and only what is pinned."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import socket
import ssl
import urllib.error
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgecam import download
from edgecam.download import Remote, fetch
from edgecam.errors import ModelError
from tests.http_files import Files, serve

DATA = bytes(range(256)) * 2000


@pytest.fixture
def server() -> Iterator[Files]:
    with serve() as state:
        state.files["/model"] = DATA
        yield state


def remote(server: Files, data: bytes = DATA, path: str = "/model", member: str = "") -> Remote:
    return Remote(server.url + path, hashlib.sha256(data).hexdigest(), len(data), member)


def message(caught: pytest.ExceptionInfo[ModelError]) -> str:
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_comes_whole(server: Files, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    target = tmp_path / "new" / "folder" / "model.tflite"
    fetch(remote(server), target, lambda done, total: seen.append((done, total)))
    assert target.read_bytes() == DATA
    assert list(target.parent.iterdir()) == [target]
    assert seen[-1] == (len(DATA), len(DATA))
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})


def test_what_is_there_is_not_fetched_again(server: Files, tmp_path: Path) -> None:
    target = tmp_path / "model"
    fetch(remote(server), target)
    fetch(remote(server), target)
    assert len(server.asked) == 1


def test_a_damaged_file_is_fetched_again(server: Files, tmp_path: Path) -> None:
    target = tmp_path / "model"
    target.write_bytes(DATA[:-1])
    fetch(remote(server), target)
    assert target.read_bytes() == DATA


@pytest.mark.parametrize("length", [True, False])
def test_a_broken_download_goes_on_where_it_stopped(server: Files, tmp_path: Path, length: bool) -> None:
    target = tmp_path / "model"
    server.cut_after, server.length = 100_000, length
    with pytest.raises(ModelError) as caught:
        fetch(remote(server), target)
    assert "the connection broke after 100000 bytes: run the same command again" in message(caught)
    assert not target.exists()
    assert (tmp_path / "model.part").read_bytes() == DATA[:100_000]

    server.cut_after, server.sent = None, 0
    seen: list[int] = []
    fetch(remote(server), target, lambda done, total: seen.append(done))
    assert target.read_bytes() == DATA
    assert server.asked[-1] == ("/model", "bytes=100000-")
    assert server.sent == len(DATA) - 100_000
    assert seen[0] > 100_000
    assert list(tmp_path.iterdir()) == [target]


def test_a_server_without_ranges_starts_anew(server: Files, tmp_path: Path) -> None:
    (tmp_path / "model.part").write_bytes(DATA[:1000])
    server.ranges = False
    fetch(remote(server), tmp_path / "model")
    assert (tmp_path / "model").read_bytes() == DATA


def test_a_part_that_was_whole_already(server: Files, tmp_path: Path) -> None:
    (tmp_path / "model.part").write_bytes(DATA)
    fetch(remote(server), tmp_path / "model")
    assert (tmp_path / "model").read_bytes() == DATA
    assert server.sent == 0


@pytest.mark.parametrize("left", [b"x" * 1000, DATA + b"x"])
def test_a_wrong_part_is_given_up(server: Files, tmp_path: Path, left: bytes) -> None:
    (tmp_path / "model.part").write_bytes(left)
    fetch(remote(server), tmp_path / "model")
    assert (tmp_path / "model").read_bytes() == DATA


def test_another_file_than_the_pinned_one_is_not_kept(server: Files, tmp_path: Path) -> None:
    server.files["/model"] = DATA[:-1] + b"!"
    with pytest.raises(ModelError) as caught:
        fetch(remote(server), tmp_path / "model")
    assert "not the file that is pinned" in message(caught)
    assert list(tmp_path.iterdir()) == []


def test_a_file_larger_than_pinned_is_not_kept(server: Files, tmp_path: Path) -> None:
    server.files["/model"] = DATA + b"!"
    with pytest.raises(ModelError) as caught:
        fetch(remote(server), tmp_path / "model")
    assert f"larger than the {len(DATA)} bytes" in message(caught)
    assert list(tmp_path.iterdir()) == []


def test_an_absent_file(server: Files, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        fetch(remote(server, path="/gone"), tmp_path / "model")
    assert f"{server.url}/gone: the server says 404 Not Found" in message(caught)
    assert list(tmp_path.iterdir()) == []


def test_no_server(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/model"
        with pytest.raises(ModelError) as caught:
            fetch(Remote(url, "0" * 64, 1), tmp_path / "model")
    assert "cannot reach 127.0.0.1 (Connection refused): check the network" in message(caught)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (
            socket.gaierror(-2, "Name or service not known"),
            r"\(Name or service not known\): check the network",
        ),
        (TimeoutError("timed out"), r"\(timed out\): check the network"),
        (ssl.SSLCertVerificationError(1, "x"), "certificate is not accepted.*check the clock"),
    ],
)
def test_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: Exception, text: str) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise urllib.error.URLError(reason)  # type: ignore[arg-type]

    if isinstance(reason, ssl.SSLCertVerificationError):
        reason.verify_message = "certificate is not yet valid"
    monkeypatch.setattr("urllib.request.urlopen", refuse)
    with pytest.raises(ModelError, match=f"example.org.*{text}"):
        fetch(Remote("https://example.org/m", "0" * 64, 1), tmp_path / "model")


def test_a_full_disk(server: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download, "_copy", full)
    with pytest.raises(ModelError, match="No space left on device: choose another folder with --dir"):
        fetch(remote(server), tmp_path / "model")


def test_a_folder_that_cannot_be_made(server: Files, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="--dir"):
        fetch(remote(server), tmp_path / "file" / "model")


def test_one_process_at_a_time(server: Files, tmp_path: Path) -> None:
    with (tmp_path / "model.part").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(ModelError, match="another process is fetching it"):
            fetch(remote(server), tmp_path / "model")
    assert server.asked == []


# A member of an archive


def archive(data: bytes, name: str = "detect.tflite") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("labelmap.txt", "person\n")
        file.writestr(name, data)
    return out.getvalue()


def test_a_member_is_taken_out_of_its_archive(server: Files, tmp_path: Path) -> None:
    server.files["/zip"] = archive(DATA)
    wanted = remote(server, path="/zip", member="detect.tflite")
    server.cut_after = 1000
    with pytest.raises(ModelError, match="connection broke"):
        fetch(wanted, tmp_path / "model")
    server.cut_after = None
    fetch(wanted, tmp_path / "model")
    assert (tmp_path / "model").read_bytes() == DATA
    assert server.asked[-1][1] == "bytes=1000-"
    assert list(tmp_path.iterdir()) == [tmp_path / "model"]


@pytest.mark.parametrize(
    "body",
    [archive(DATA[:-1]), archive(DATA + b"!"), archive(DATA, "other.tflite"), b"<html>moved</html>"],
    ids=["short", "long", "absent", "no zip"],
)
def test_a_wrong_archive_is_not_kept(server: Files, tmp_path: Path, body: bytes) -> None:
    server.files["/zip"] = body
    wanted = remote(server, path="/zip", member="detect.tflite")
    with pytest.raises(ModelError, match="not the file that is pinned"):
        fetch(wanted, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []
