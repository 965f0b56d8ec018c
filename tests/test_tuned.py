"""What was tuned is kept, found again where it counts, and nowhere else."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgecam import tuned
from edgecam.tuned import Choice, Place, Setup

PLACE = Place("Raspberry Pi 5 Model B Rev 1.0", 4, "ab" * 32, "ai-edge-litert 2.3.0")
CHOICE = Choice(PLACE, Setup(3), 61.0, 52.5, "2026-11-26T12:00:00+00:00")

words = st.text(max_size=12)
setups = st.builds(Setup, st.integers(1, 256), st.lists(st.integers(0, 512), max_size=4).map(tuple))
choices = st.builds(
    Choice,
    st.builds(Place, words, st.integers(1, 512), words, words),
    setups,
    st.floats(0, 1e6),
    st.floats(0, 1e6),
    words,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / tuned.NAME


@given(choice=choices)
def test_a_choice_is_read_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, choice: Choice) -> None:
    path = tmp_path_factory.getbasetemp() / "choices" / tuned.NAME
    path.unlink(missing_ok=True)
    assert tuned.keep(choice, path) == path
    assert tuned.read(path) == [choice]


def test_without_a_file_nothing_is_found_and_nothing_said(path: Path) -> None:
    assert tuned.find(PLACE, path) == (None, "")


def test_a_choice_counts_where_it_was_measured(path: Path) -> None:
    tuned.keep(CHOICE, path)
    assert tuned.find(PLACE, path) == (CHOICE, "")
    assert CHOICE.words == "tuned on 2026-11-26: 3 threads"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cores": 2}, "it was with 4 cores, now there are 2"),
        (
            {"runtime": "tflite-runtime 2.14.0"},
            "it was with ai-edge-litert 2.3.0, now there is tflite-runtime 2.14.0",
        ),
        ({"machine": "another"}, ""),
        ({"model": "cd" * 32}, ""),
    ],
)
def test_a_stale_choice_is_left_out_and_the_reason_said(
    path: Path, change: dict[str, object], said: str
) -> None:
    tuned.keep(CHOICE, path)
    found, note = tuned.find(replace(PLACE, **change), path)  # type: ignore[arg-type]
    assert found is None
    if said:
        assert note == f"what was tuned is left out ({said}): edgecam bench --tune measures anew"
    else:
        assert note == ""


def test_cores_that_are_not_to_be_had_are_no_choice(path: Path) -> None:
    tuned.keep(replace(CHOICE, setup=Setup(1, cpus=(100_000,))), path)
    found, note = tuned.find(PLACE, path)
    assert found is None and "its cores are not to be had" in note


def test_a_model_has_one_choice_on_a_machine_the_newest(path: Path) -> None:
    other = replace(CHOICE, place=replace(PLACE, model="cd" * 32))
    newer = replace(CHOICE, setup=Setup(1), place=replace(PLACE, runtime="ai-edge-litert 3.0.0"))
    for choice in (CHOICE, other, newer):
        tuned.keep(choice, path)
    assert tuned.read(path) == [other, newer]


def test_the_file_does_not_grow_for_ever(path: Path) -> None:
    for n in range(70):
        tuned.keep(replace(CHOICE, place=replace(PLACE, model=str(n))), path)
    assert [choice.place.model for choice in tuned.read(path)] == [str(n) for n in range(6, 70)]


def good() -> dict[str, object]:
    return {"schema": 1, "choices": [json.loads(json.dumps(asdict(CHOICE)))]}


def damaged() -> list[bytes]:
    def changed(**values: object) -> bytes:
        data = good()
        data["choices"] = [data["choices"][0] | values]  # type: ignore[index]
        return json.dumps(data).encode()

    setup = asdict(CHOICE.setup)
    return [
        b"",
        b"\xff\xfe",
        b"[]",
        b'{"schema": 2, "choices": []}',
        b'{"schema": 1, "choices": {}}',
        b'{"schema": 1, "choices": [7]}',
        json.dumps(good()).encode()[:-20],
        changed(fps="fast"),
        changed(place=None),
        changed(more=1),
        changed(setup=setup | {"threads": 0}),
        changed(setup=setup | {"threads": True}),
        changed(setup=setup | {"threads": "; rm -rf /"}),
        changed(setup=setup | {"threads": 257}),
        changed(setup=setup | {"cpus": 3}),
        changed(setup=setup | {"cpus": [-1]}),
        changed(setup=setup | {"cpus": [[0]]}),
    ]


@pytest.mark.parametrize("data", damaged())
def test_a_damaged_file_is_left_out_said_and_made_anew(path: Path, data: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(data)
    found, note = tuned.find(PLACE, path)
    assert found is None
    assert note == f"{path} is damaged and left out: edgecam bench --tune makes it anew"
    tuned.keep(CHOICE, path)
    assert tuned.find(PLACE, path) == (CHOICE, "")


@given(st.binary(max_size=200))
@example(json.dumps(good()).encode())
def test_no_bytes_raise(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.json"
    path.write_bytes(data)
    tuned.find(PLACE, path)


def test_all_threads_stay_on_the_cores_inside_and_are_free_after() -> None:
    usable = os.sched_getaffinity(0)

    def of_threads() -> list[set[int]]:
        found = []
        for entry in Path("/proc/self/task").iterdir():
            with contextlib.suppress(ProcessLookupError):  # another test's thread that ends just now
                found.append(os.sched_getaffinity(int(entry.name)))
        return found

    one = min(usable)
    with tuned.applied(None), tuned.applied(Setup(1)), tuned.applied(Setup(1, cpus=(one,))):
        assert all(found == {one} for found in of_threads())
    assert all(found == usable for found in of_threads())


def test_where_cores_may_not_be_chosen_it_is_said_and_the_run_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(thread: int, cpus: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    said: list[str] = []
    with tuned.applied(Setup(1, cpus=(0, 1)), said.append):
        pass
    assert said == [
        "may not run on cores 0-1 alone (Operation not permitted): CPUAffinity=0-1 in the unit does that"
    ]


@pytest.mark.parametrize(
    ("numbers", "text"),
    [((), ""), ((3,), "3"), ((0, 1, 2, 5), "0-2,5"), ((7, 4, 5, 6), "4-7"), ((1, 3), "1,3")],
)
def test_spans(numbers: tuple[int, ...], text: str) -> None:
    assert tuned.spans(numbers) == text
