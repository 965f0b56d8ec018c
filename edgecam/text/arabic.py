"""Joined Arabic letters and mirrored brackets, for a Pillow that cannot shape text itself.

Pillow shapes with HarfBuzz where the system has FriBiDi. A bare Raspberry Pi OS Lite may not, and then Arabic
would come out as unjoined letters in the wrong order. The presentation forms of Unicode (U+FB50 to U+FBFF for
Persian and Urdu, U+FE70 to U+FEFC for Arabic) give readable joined letters without a shaper.
"""

from __future__ import annotations

import functools
import unicodedata

_MIRROR = str.maketrans("()[]{}<>«»", ")(][}{><»«")
_FORMS = {"<isolated>": 0, "<final>": 1, "<initial>": 2, "<medial>": 3}
_TATWEEL, _LAM = "\u0640", "\u0644"


@functools.cache
def _table() -> dict[str, dict[int, str]]:
    """Letters (one, or lam and alef) to their forms: 0 isolated, 1 final, 2 initial, 3 medial."""
    table: dict[str, dict[int, str]] = {}
    for code in (*range(0xFB50, 0xFC00), *range(0xFE70, 0xFEFD)):
        kind, *letters = unicodedata.decomposition(chr(code)).split() or [""]
        plain = "".join(chr(int(letter, 16)) for letter in letters)
        if code < 0xFC00 and len(plain) != 1:
            continue  # ligatures that readers do without
        if kind in _FORMS and plain and plain[0] not in {" ", _TATWEEL}:
            table.setdefault(plain, {})[_FORMS[kind]] = chr(code)
    return table


def _letters(text: str) -> list[str]:
    """Characters, with lam and alef as one, and marks kept with their letter."""
    out: list[str] = []
    for char in text:
        if out and (unicodedata.combining(char) or (out[-1] == _LAM and _LAM + char in _table())):
            out[-1] += char
        else:
            out.append(char)
    return out


def _split(letter: str) -> tuple[str, str]:
    """A letter and its marks."""
    plain = letter.rstrip("".join(c for c in letter if unicodedata.combining(c)))
    return plain, letter[len(plain) :]


def visual(run: str) -> str:
    """A right-to-left run in reading order as the characters to draw from left to right."""
    letters = [_split(letter) for letter in _letters(run)]
    table = _table()

    def joins(index: int, form: int) -> bool:
        if not 0 <= index < len(letters):
            return False
        plain = letters[index][0]
        return plain == _TATWEEL or form in table.get(plain, {})

    out = []
    for i, (plain, marks) in enumerate(letters):
        forms = table.get(plain)
        if forms:
            before = joins(i - 1, 2) and 1 in forms  # the one before reaches forward
            after = joins(i + 1, 1) and 2 in forms  # this one reaches forward
            plain = forms.get(before + 2 * after, forms.get(0, plain))
        out.append(plain.translate(_MIRROR) + marks)
    return "".join(reversed(out))
