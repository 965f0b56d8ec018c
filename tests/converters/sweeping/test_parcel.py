"""Folders that travel."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from converters.sweeping import parcel
from edgecam.errors import EdgecamError


@pytest.fixture(autouse=True)
def own_scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parcel, "scratch", lambda: tmp_path / "scratch")
    (tmp_path / "scratch").mkdir()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    root = tmp_path / "here" / "pictures"
    for number in range(5):
        path = root / f"class-{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes([number]) * 1000)
    return root


def packed(root: Path) -> tuple[parcel.Parcel, list[bytes]]:
    store: list[bytes] = []

    def put(chunk: bytes) -> int:
        store.append(chunk)
        return len(store) - 1

    chunks = parcel.pack(root, parcel.files(root), put)
    return parcel.Parcel(str(root), parcel.digest(root), chunks), store


def test_what_is_there_is_used_as_it_is(pictures: Path) -> None:
    def get(references: Sequence[int]) -> Iterable[bytes]:
        raise AssertionError("nothing travels")

    assert parcel.at_hand(parcel.Parcel(str(pictures), parcel.digest(pictures)), get) == pictures


def test_what_is_not_there_is_unpacked_once_in_several_chunks(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parcel, "CHUNK", 3000)
    sent, store = packed(pictures)
    assert len(store) > 2
    times = {path.name: path.stat().st_mtime_ns for path in parcel.files(pictures)}
    pictures.rename(tmp_path / "gone")
    asked: list[int] = []

    def get(references: Sequence[int]) -> Iterable[bytes]:
        asked.extend(references)
        return [store[number] for number in references]

    found = parcel.at_hand(sent, get)
    assert found.name == "pictures"
    assert parcel.digest(found) == sent.digest
    assert {path.name: path.stat().st_mtime_ns for path in parcel.files(found)} == pytest.approx(
        times, rel=1e-12
    )
    assert asked == list(range(len(store)))
    assert parcel.at_hand(sent, get) == found
    assert asked == list(range(len(store)))
    (found / "class-0" / "0.png").unlink()  # somebody cleans up
    assert parcel.digest(parcel.at_hand(sent, get)) == sent.digest


def test_on_the_senders_own_machine_nothing_is_copied(pictures: Path) -> None:
    """And what travels has the same name there as on all others."""
    sent, _ = packed(pictures)
    found = parcel.at_hand(sent, lambda references: [])
    assert found.is_symlink()
    assert found.resolve() == pictures
    assert parcel.digest(found) == sent.digest


def test_other_pictures_under_the_same_path_are_not_taken(pictures: Path) -> None:
    sent = parcel.Parcel(str(pictures), parcel.digest(pictures))
    (pictures / "class-0" / "new.png").write_bytes(b"x")
    with pytest.raises(EdgecamError, match="is not the same on this machine"):
        parcel.at_hand(sent, lambda references: [])


@pytest.mark.parametrize("old", [False, True])
def test_what_would_lie_outside_is_left_out(
    old: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by Python 3.11.2, which has no filters."""
    if old:
        monkeypatch.setattr(parcel, "_FILTER", {})
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("in/a.png", "../out.png", str(tmp_path / "absolute.png")):
            member = tarfile.TarInfo(name)
            member.size = 3
            archive.addfile(member, io.BytesIO(b"abc"))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    parcel.unpack([buffer.getvalue()], tmp_path / "x" / "target")
    found = [path for path in (tmp_path / "x").rglob("*") if not path.is_dir()]
    assert found == [tmp_path / "x" / "target" / "in" / "a.png"]
    assert not (tmp_path / "absolute.png").exists()


def test_a_full_disk_is_a_line(tmp_path: Path, pictures: Path) -> None:
    _, store = packed(pictures)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(EdgecamError, match="cannot unpack into"):
        parcel.unpack(store, tmp_path / "file" / "below")
