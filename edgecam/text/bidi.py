"""The order in which a line of mixed left-to-right and right-to-left text is drawn.

The Unicode Bidirectional Algorithm (UAX #9) for one line, without explicit embeddings (labels have none).
Rule names are those of the standard.
"""

from __future__ import annotations

import unicodedata

_STRONG = {"L", "R", "AL"}
_FIXED = {"L": "L", "R": "R", "EN": "R", "AN": "R"}  # what counts as a direction for its neighbours
_PAIRS = {"(": ")", "[": "]", "{": "}", "（": "）", "「": "」", "【": "】"}


def visual_runs(text: str) -> list[tuple[str, bool]]:
    """Split a line into runs of one direction, in the order they stand from left to right.

    Returns:
        (run, right-to-left) pairs; the text inside a run stays in reading order.
    """
    if not any(unicodedata.bidirectional(c) in {"R", "AL", "AN"} for c in text):
        return [(text, False)] if text else []
    levels = _levels(text)
    runs: list[tuple[int, str]] = []
    for level, char in zip(levels, text, strict=True):
        if runs and runs[-1][0] == level:
            runs[-1] = (level, runs[-1][1] + char)
        else:
            runs.append((level, char))
    for floor in range(max(levels), 0, -1):  # L2: reverse every sequence at this level or above
        start = 0
        while start < len(runs):
            end = start
            while end < len(runs) and runs[end][0] >= floor:
                end += 1
            runs[start:end] = runs[start:end][::-1]
            start = max(end, start + 1)
    return [(run, bool(level % 2)) for level, run in runs]


def _levels(text: str) -> list[int]:
    """The embedding level of each character."""
    types = [unicodedata.bidirectional(c) or "L" for c in text]
    strong = next((t for t in types if t in _STRONG), "L")  # P2, P3
    base = 0 if strong == "L" else 1
    _weak(types, "R" if base else "L")
    _brackets(text, types, "R" if base else "L")
    _neutral(types, "R" if base else "L")
    levels = []
    for kind in types:
        if base == 0:  # I1
            levels.append({"L": 0, "R": 1}.get(kind, 2))
        else:  # I2
            levels.append(1 if kind == "R" else 2)
    for i in range(len(text) - 1, -1, -1):  # L1: trailing spaces belong to the line
        if not text[i].isspace():
            break
        levels[i] = base
    return levels


def _weak(types: list[str], edge: str) -> None:
    """W1 to W7: marks, digits and what stands among digits."""
    before, strong = edge, edge
    for i, kind in enumerate(types):
        if kind == "NSM":
            kind = before  # W1
        if kind in _STRONG:
            strong = kind
        if kind == "EN" and strong == "AL":
            kind = "AN"  # W2
        before = types[i] = kind
    types[:] = ["R" if kind == "AL" else kind for kind in types]  # W3
    _among_digits(types)
    strong = edge
    for i, kind in enumerate(types):
        if kind in {"L", "R"}:
            strong = kind
        elif kind == "EN" and strong == "L":
            types[i] = "L"  # W7
        elif kind in {"ES", "ET", "CS"}:
            types[i] = "ON"  # W6


def _among_digits(types: list[str]) -> None:
    """W4 and W5: a separator between two numbers, a sign such as % beside one, belongs to the number."""
    joined = {("EN", "ES"), ("EN", "CS"), ("AN", "CS")}
    for i in range(1, len(types) - 1):
        if types[i - 1] == types[i + 1] and (types[i - 1], types[i]) in joined:
            types[i] = types[i - 1]
    for i in range(1, len(types)):
        if types[i] == "ET" and types[i - 1] == "EN":
            types[i] = "EN"
    for i in range(len(types) - 2, -1, -1):
        if types[i] == "ET" and types[i + 1] == "EN":
            types[i] = "EN"


def _brackets(text: str, types: list[str], edge: str) -> None:
    """N0: a pair of brackets takes one direction, from what it holds and what stands before it."""
    pairs: list[tuple[int, int]] = []
    opened: list[tuple[int, str]] = []
    for i, char in enumerate(text):
        if char in _PAIRS and types[i] == "ON":
            opened.append((i, _PAIRS[char]))
        for depth in range(len(opened) - 1, -1, -1):
            if opened[depth][1] == char:
                pairs.append((opened[depth][0], i))
                del opened[depth:]
                break
    for first, last in sorted(pairs):
        held = {_FIXED[t] for t in types[first + 1 : last] if t in _FIXED}
        if not held:
            continue
        before = next((_FIXED[t] for t in reversed(types[:first]) if t in _FIXED), edge)
        types[first] = types[last] = edge if edge in held else before


def _neutral(types: list[str], edge: str) -> None:
    """N1 and N2: what has no direction takes its neighbours', or the line's where they differ."""
    i = 0
    while i < len(types):
        if types[i] in _FIXED:
            i += 1
            continue
        end = i
        while end < len(types) and types[end] not in _FIXED:
            end += 1
        left = _FIXED[types[i - 1]] if i else edge
        right = _FIXED[types[end]] if end < len(types) else edge
        types[i:end] = [left if left == right else edge] * (end - i)
        i = end
