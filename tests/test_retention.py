"""Old files make room, and nothing else does."""

import os
import shutil
import time
from collections import namedtuple
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam.retention import Limits, Retention

DAY = 86400.0
NOW = time.mktime((2026, 11, 25, 12, 0, 0, 0, 0, -1))
Usage = namedtuple("Usage", "total used free")


def put(folder: Path, days: float, size: int = 1000, kind: str = "clip", suffix: str = ".mp4") -> Path:
    """A file of so many days ago."""
    moment = NOW - days * DAY
    where = folder / time.strftime("%Y-%m-%d", time.localtime(moment))
    where.mkdir(parents=True, exist_ok=True)
    path = where / f"{kind}-{time.strftime('%H%M%S', time.localtime(moment))}{suffix}"
    path.write_bytes(bytes(size))
    os.utime(path, (moment, moment))
    return path


def keeper(folder: Path, **limits: float | None) -> Retention:
    retention = Retention(folder, "clip", Limits(**{"free": 0, **limits}))  # type: ignore[arg-type]
    retention.scan()
    return retention


def test_age(tmp_path: Path) -> None:
    old = [put(tmp_path, d) for d in (30, 8, 7.01)]
    young = [put(tmp_path, d) for d in (6.99, 1, 0)]
    retention = keeper(tmp_path, age=7 * DAY)
    assert retention.sweep(now=NOW)
    assert not any(path.exists() for path in old) and all(path.exists() for path in young)
    assert retention.deleted == 3 and retention.bytes == 3000
    assert not (tmp_path / old[0].parent.name).exists()  # an empty day goes too


def test_size_takes_the_oldest_first_with_what_belongs_to_them(tmp_path: Path) -> None:
    paths = [put(tmp_path, d) for d in (3, 2, 1, 0)]
    beside = put(tmp_path, 3, 100, suffix=".json")
    retention = keeper(tmp_path, size=2500)
    assert retention.sweep(coming=400, now=NOW)
    assert [path.exists() for path in (*paths, beside)] == [False, False, True, True, False]
    assert retention.bytes == 2000


def test_a_day_of_very_many_files_is_not_read_for_each_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(1200):
        put(tmp_path, 1 - i / 4000, 10)
    reads: list[Path] = []
    files = Retention._files

    def counted(self: Retention, folder: Path) -> object:
        reads.append(folder)
        return files(self, folder)

    monkeypatch.setattr(Retention, "_files", counted)
    retention = keeper(tmp_path, size=5000)
    reads.clear()
    assert retention.sweep(now=NOW) and retention.bytes <= 5000
    assert len(list(tmp_path.rglob("clip-*"))) == retention.bytes / 10 == 500
    assert len(reads) < 40


def test_what_is_written_now_counts(tmp_path: Path) -> None:
    retention = keeper(tmp_path, size=2500)
    for i in range(20):
        path = put(tmp_path, 1 - i / 100)
        retention.add(path, 1000)
        retention.sweep(now=NOW)
        assert sum(p.stat().st_size for p in tmp_path.rglob("clip-*")) <= 2500
    assert path.exists()


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here others fill it; what is freed shows at once."""
    paths = [put(tmp_path, d) for d in (3, 2, 1, 0)]

    def usage(folder: Path) -> Usage:
        return Usage(100_000, 0, 5000 - 1000 * sum(path.exists() for path in paths))

    monkeypatch.setattr(shutil, "disk_usage", usage)
    assert keeper(tmp_path, free=2500).sweep(now=NOW)
    assert [path.exists() for path in paths] == [False, False, True, True]
    assert not keeper(tmp_path, free=6000).sweep(now=NOW)  # nothing left to delete, and still no room
    assert not any(path.exists() for path in paths)
    assert keeper(tmp_path, free=None).least_free == 5000  # a twentieth of a small disk


def test_a_real_disk_that_is_fuller_than_wanted(tmp_path: Path) -> None:
    put(tmp_path, 0)
    retention = keeper(tmp_path, free=1 << 60)
    assert not retention.sweep(now=NOW) and retention.bytes == 0


def test_nothing_else_is_touched(tmp_path: Path) -> None:
    put(tmp_path, 400)
    mine = [put(tmp_path, 400, kind="segment"), tmp_path / "clip-100000.mp4", tmp_path / "notes.txt"]
    mine += [
        tmp_path / "2020-01-01" / name
        for name in ("clip.mp4", "clip-of-the-cat.mp4", ".clip-100000.mp4.part")
    ]
    mine.append(tmp_path / "holiday" / "clip-100000.mp4")
    for path in mine[1:]:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(1000))
        os.utime(path, (0, 0))
    retention = keeper(tmp_path, age=DAY, size=1)
    assert retention.sweep(now=NOW)
    assert all(path.exists() for path in mine) and retention.deleted == 1


def test_a_clock_that_was_set_forward_deletes_nothing_of_this_run(tmp_path: Path) -> None:
    """A board without a clock begins in 1970, records, and then learns the time."""
    retention = keeper(tmp_path, age=7 * DAY)
    path = put(tmp_path, 365)
    retention.add(path, 1000)
    retention.sweep(now=NOW)
    assert path.exists()
    later = keeper(tmp_path, age=7 * DAY)  # the next run knows better
    later.sweep(now=NOW)
    assert not path.exists()


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    retention = keeper(tmp_path / "kept", age=DAY, size=1000, free=None)
    assert retention.sweep(now=NOW)
    put(tmp_path / "kept", 0)
    retention.add(tmp_path / "kept" / "2026-11-25" / "clip-1.mp4", 5000)
    shutil.rmtree(tmp_path / "kept")
    assert retention.sweep(now=NOW) and retention.bytes == 0


@given(
    sizes=st.lists(st.integers(0, 50), max_size=12),
    limit=st.integers(1, 200),
    coming=st.integers(0, 50),
)
def test_within_the_size_whatever_there_is(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], limit: int, coming: int
) -> None:
    folder = tmp_path_factory.mktemp("kept")
    paths = [put(folder, 10 - i / 3, size) for i, size in enumerate(sizes)]
    keeper(folder, size=limit).sweep(coming=coming, now=NOW)
    there = [path.exists() for path in paths]
    left = sum(size for size, kept in zip(sizes, there, strict=True) if kept)
    assert left + coming <= limit or not any(there)
    assert there == sorted(there)  # only ever the oldest
