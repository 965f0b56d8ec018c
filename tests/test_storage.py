"""Files that are whole or not there."""

import os
import stat
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from edgecam.mp4 import Mp4Writer, Track, whole_length
from edgecam.storage import Part, Store
from tests.helpers.rights import nobody

NOON = time.mktime((2026, 11, 25, 12, 0, 0, 0, 0, -1))


@pytest.fixture
def done() -> list[tuple[str, int]]:
    return []


@pytest.fixture
def store(tmp_path: Path, done: list[tuple[str, int]]) -> Store:
    made = Store(tmp_path / "kept", "clip", lambda path, size: done.append((path.name, size)))
    made.open()
    return made


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_file_has_its_name_only_once_it_is_whole(store: Store, done: list[tuple[str, int]]) -> None:
    part = store.create(NOON, "door")
    part.file.write(b"12345")
    assert names(store.folder) == ["2026-11-25/.clip-120000-door.mp4.part"] and not done
    store.finish(part)
    assert store.close(5)
    assert names(store.folder) == ["2026-11-25/clip-120000-door.mp4"]
    assert done == [("clip-120000-door.mp4", 5)]


def test_a_name_that_is_taken_gets_a_number(store: Store) -> None:
    """The hour that comes twice in autumn, a clock that was set back."""
    first = store.create(NOON)
    store.finish(first)
    store.close(5)
    store.open()
    others = [store.create(NOON), store.create(NOON)]
    assert [part.path.name for part in others] == ["clip-120000.1.mp4", "clip-120000.2.mp4"]
    for part in others:
        part.abandon()
    assert names(store.folder) == ["2026-11-25/clip-120000.mp4"]


def test_small_files_are_replaced_whole(store: Store, done: list[tuple[str, int]]) -> None:
    path = store.create(NOON, suffix=".json").path
    store.write(path, b"{}")
    store.write(path, b'{"a": 1}')
    assert store.close(5) and path.read_bytes() == b'{"a": 1}' and len(done) == 2


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    tmp_path.chmod(0o500)
    with nobody(), pytest.raises(PermissionError):
        Store(tmp_path / "kept", "clip", lambda *_: None).open()
    with pytest.raises(OSError):
        Store(tmp_path / "file", "clip", lambda *_: None).open()


def test_a_folder_deleted_meanwhile_is_trouble_and_made_again(store: Store) -> None:
    part = store.create(NOON)
    assert not part.gone
    for path in (part.part, part.part.parent, store.folder):
        path.rmdir() if path.is_dir() else path.unlink()
    assert part.gone
    other = store.create(NOON)
    assert part.gone and not other.gone  # of the same name
    store.finish(part)
    store.finish(other)
    assert store.close(5) and store.trouble == ""  # the second one worked
    assert names(store.folder) == ["2026-11-25/clip-120000.mp4"]


def test_what_cannot_be_made_whole_is_said(store: Store) -> None:
    part = store.create(NOON)
    part.part.unlink()
    store.finish(part)
    assert store.close(5) and "could not be finished (somebody deleted it)" in store.trouble


def test_a_slow_disk_stops_nobody(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()
    monkeypatch.setattr(os, "fdatasync", lambda _: go.wait(30))
    part = store.create(NOON)
    store.keep_safe(part)
    store.keep_safe(part)
    before = time.monotonic()
    store.finish(part)
    assert time.monotonic() - before < 20 and not store.close(0.1)
    go.set()
    assert store.close(10)


# After a kill or a power cut


def film(path: Path, pictures: int) -> bytes:
    with path.open("wb", buffering=0) as file:
        writer = Mp4Writer(file, Track("jpeg", 16, 16))
        for i in range(pictures):
            writer.add(i * 0.5, True, bytes(50))
    return path.read_bytes()  # never closed: as after a kill


def left_over(tmp_path: Path, name: str, data: bytes) -> Path:
    folder = tmp_path / "2026-11-24"
    folder.mkdir(exist_ok=True)
    path = folder / f".{name}.part"
    path.write_bytes(data)
    return path


def test_what_plays_of_an_open_film_is_kept_and_the_rest_thrown_away(tmp_path: Path) -> None:
    whole = film(tmp_path / "film", 8)
    (tmp_path / "film").unlink()
    left_over(tmp_path, "clip-100000.mp4", whole + b"\0\0\1\0moof half a fragm")
    left_over(tmp_path, "clip-110000.mp4", whole[:200])  # not even its header
    left_over(tmp_path, "clip-110000.json", b'{"fi')
    other = left_over(tmp_path, "segment-100000.mp4", whole)  # another kind's
    precious = tmp_path / "2026-11-24" / "notes.part"
    precious.write_text("mine")
    assert Store(tmp_path, "clip", lambda *_: None).open() == 1
    kept = tmp_path / "2026-11-24" / "clip-100000.mp4"
    with kept.open("rb") as file:
        assert whole_length(file) == kept.stat().st_size == len(whole)
    assert sorted(p.name for p in kept.parent.iterdir()) == sorted([kept.name, other.name, precious.name])


def test_every_cut_of_a_film_leaves_whole_boxes(tmp_path: Path) -> None:
    data = film(tmp_path / "film", 12)
    lengths = set()
    for cut in range(0, len(data), 7):
        (tmp_path / "cut").write_bytes(data[:cut])
        with (tmp_path / "cut").open("rb") as file:
            length = whole_length(file)
        assert length <= cut
        lengths.add(length)
    assert len(lengths) > 3 and 0 in lengths


def test_a_part_that_somebody_writes_is_left_alone(tmp_path: Path) -> None:
    script = """
        import sys, time
        from pathlib import Path
        from edgecam.storage import Store
        store = Store(Path(sys.argv[1]), "clip", print)
        store.open()
        part = store.create(time.time())
        part.file.write(b"half a film")
        print("there", flush=True)
        time.sleep(60)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "there\n"
        assert Store(tmp_path, "clip", lambda *_: None).open() == 0
        (part,) = tmp_path.glob("*/.clip-*.part")
        process.kill()
    assert Store(tmp_path, "clip", lambda *_: None).open() == 0
    assert not part.exists()


def test_parts_are_for_their_owner_and_group_as_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        part = Part(tmp_path / "a.mp4")
    finally:
        os.umask(before)
    assert stat.S_IMODE(part.part.stat().st_mode) == 0o640
    part.abandon()
    assert not list(tmp_path.iterdir())
