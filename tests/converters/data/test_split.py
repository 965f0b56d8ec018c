"""The split by content."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converters.data import split
from edgecam.errors import UsageError

contents = st.lists(st.integers(0, 10**9), unique=True, min_size=1, max_size=60)
seeds = st.integers(0, 5)
thirds = st.tuples(st.integers(1, 20), st.integers(0, 20), st.integers(1, 20))


def content(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def fractions(weights: tuple[int, int, int]) -> split.Fractions:
    return split.check([w / sum(weights) for w in weights])


def parts(numbers: list[int], seed: int, cut: split.Fractions) -> dict[int, str]:
    keys = [split.key(content(n), seed) for n in numbers]
    return dict(zip(numbers, split.assign(keys, [""] * len(keys), [], cut), strict=True))


@given(contents, contents, seeds, thirds)
def test_adding_pictures_moves_none(
    old: list[int], new: list[int], seed: int, weights: tuple[int, int, int]
) -> None:
    cut = fractions(weights)
    before = parts(old, seed, cut)
    after = parts([*reversed(new), *(n for n in old if n not in new)], seed, cut)
    assert {n: after[n] for n in old} == before
    assert set(after.values()) <= set(split.PARTS)


@given(seeds)
def test_proportions(seed: int) -> None:
    """20,000 pictures: five standard deviations are under 0.018."""
    found = list(parts(list(range(20_000)), seed, (0.7, 0.15, 0.15)).values())
    for part, fraction in zip(split.PARTS, (0.7, 0.15, 0.15), strict=True):
        assert found.count(part) / len(found) == pytest.approx(fraction, abs=0.018)


def test_a_place_is_the_same_on_every_machine() -> None:
    """Pinned: a change of this moves every test set that anybody has."""
    assert [round(split.key(content(n), 0), 6) for n in range(3)] == [0.866419, 0.616984, 0.092374]
    assert split.key(content(0), 0) != split.key(content(0), 1)


@given(
    contents.flatmap(
        lambda n: st.tuples(st.just(n), st.lists(st.integers(0, 7), min_size=len(n), max_size=len(n)))
    ),
    st.sampled_from([("",), ("train", "test"), ("train", "validation", "test"), ("train", "validation")]),
    seeds,
)
def test_near_duplicates_share_a_part(
    drawn: tuple[list[int], list[int]], names: tuple[str, ...], seed: int
) -> None:
    numbers, marks = drawn
    keys = [split.key(content(n), seed) for n in numbers]
    given_parts = [names[n % len(names)] for n in numbers]
    groups = [[i for i, mark in enumerate(marks) if mark == m] for m in range(6)]
    groups = [group for group in groups if len(group) > 1]
    found = split.assign(keys, given_parts, groups, (0.7, 0.15, 0.15))
    for group in groups:
        kept = {found[i] for i in group if found[i]}
        assert len(kept) == 1
    grouped = {i for group in groups for i in group}
    for i, part in enumerate(found):
        assert part or i in grouped, "only near duplicates may be left out"
        if given_parts[i] == "test" and part:
            assert part == "test"
        if given_parts[i] == "train" and "test" in given_parts:
            assert part in ("train", "validation", "")


def test_one_held_out_part_is_the_test_set() -> None:
    given_parts = ["train"] * 200 + ["validation"] * 5
    found = split.assign([i / 205 for i in range(205)], given_parts, [], (0.7, 0.15, 0.15))
    assert found[200:] == ["test"] * 5
    assert set(found[:200]) == {"train", "validation"}


def test_three_ready_parts_stay() -> None:
    given_parts = ["train", "validation", "test"] * 5
    assert split.assign([0.0, 0.99, 0.5] * 5, given_parts, [], (0.7, 0.15, 0.15)) == given_parts


@pytest.mark.parametrize("wrong", [(0.5, 0.5), (0.5, 0.2, 0.2), (-0.1, 0.6, 0.5), (1.2, -0.1, -0.1)])
def test_fractions_that_make_no_whole(wrong: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match="three fractions that make 1"):
        split.check(wrong)


@pytest.mark.parametrize("wrong", [(1.0, 0.0, 0.0), (0.0, 0.5, 0.5)])
def test_a_split_needs_training_and_test(wrong: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match="without training or test"):
        split.check(wrong)
