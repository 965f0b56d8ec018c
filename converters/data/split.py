"""Which picture goes into which part: by its content, so that nothing but its content and the seed
decides.

A picture's key is a number from 0 to 1 made of the sha256 of the seed and of the file's bytes. Keys below
the test fraction are test pictures, the next are for validation, the rest for training. Adding pictures
moves none; renaming files moves none. Near duplicates stay together: the lowest key of a group decides for
all of it. (A picture with a new near duplicate may so move together with it.)
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from edgecam.errors import UsageError

PARTS = ("train", "validation", "test")

Fractions = tuple[float, float, float]


def key(content: str, seed: int) -> float:
    """A picture's number in [0, 1), the same on every machine."""
    digest = hashlib.sha256(f"edgecam split {seed} {content}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def check(fractions: Sequence[float]) -> Fractions:
    """Three fractions (train, validation, test) that make 1.

    Raises:
        UsageError: they are not.
    """
    if len(fractions) != 3 or not all(0 <= f <= 1 for f in fractions) or abs(sum(fractions) - 1) > 1e-6:
        shown = ", ".join(f"{f:g}" for f in fractions)
        raise UsageError(f"split {shown}", "give three fractions that make 1, as 0.7, 0.15, 0.15")
    train, validation, test = fractions
    if not train or not test:
        raise UsageError("a split without training or test pictures", "give each of them a fraction above 0")
    return train, validation, test


def place(number: float, fractions: Fractions) -> str:
    """The part for a key."""
    _, validation, test = fractions
    if number < test:
        return "test"
    return "validation" if number < test + validation else "train"


def assign(
    keys: Sequence[float], given: Sequence[str], groups: Sequence[Sequence[int]], fractions: Fractions
) -> list[str]:
    """A part for each picture; "" for one that must be left out.

    Args:
        keys: of each picture.
        given: the part that the source itself says, or "". With one held-out part only, that is the test
            set, whatever it is called, and validation is cut out of training.
        groups: indices of near duplicates. Where the source puts them into different parts, only those of
            the part that most needs to be unseen (test, then validation) stay.
        fractions: train, validation, test.
    """
    lowest = list(keys)
    for group in groups:
        for index in group:
            lowest[index] = min(keys[i] for i in group)
    if not any(given):
        return [place(number, fractions) for number in lowest]
    said = _complete(given)
    cut = _to_cut(said, fractions)
    parts = [
        place(number, cut) if part in ("train", "") else part
        for number, part in zip(lowest, said, strict=True)
    ]
    for group in groups:
        best = max((parts[i] for i in group), key=PARTS.index)
        for index in group:
            parts[index] = parts[index] if parts[index] == best else ""
    return parts


def _complete(given: Sequence[str]) -> list[str]:
    if "validation" in given and "test" not in given:
        return ["test" if part == "validation" else part for part in given]
    return list(given)


def _to_cut(said: Sequence[str], fractions: Fractions) -> Fractions:
    """The fractions for what is still to be split: the parts that are ready get nothing more."""
    train, validation, test = fractions
    validation = 0.0 if "validation" in said else validation
    test = 0.0 if "test" in said else test
    total = train + validation + test
    return train / total, validation / total, test / total
