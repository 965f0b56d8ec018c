"""Label files of all the kinds that people have."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam import labels
from edgecam.errors import ModelError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("person\nbicycle\n", ("person", "bicycle")),
        ("person\r\nbicycle\r\n", ("person", "bicycle")),
        ("\ufeffperson\n猫\n", ("person", "猫")),
        ("person\n???\n\nn/a\ncar", ("person", "", "", "", "car")),
        ("0  person\n2  car\n", ("person", "", "car")),
        ("0: person\n1: car", ("person", "car")),
        ("1 person\n2 car", ("", "person", "car")),
        ("7 up\ncola", ("7 up", "cola")),
        ("2 euro\n1 euro", ("2 euro", "1 euro")),
        ("", ()),
        ("\n\n", ()),
        ("\x1b[31mred\n", ("[31mred",)),
    ],
)
def test_forms(text: str, expected: tuple[str, ...]) -> None:
    assert labels.parse(text) == expected


def test_a_contract_takes_its_lines_as_they_are() -> None:
    assert labels.parse("1 euro\n2 euro\n", numbered=False) == ("1 euro", "2 euro")


words = st.text(st.characters(categories=("L", "Nd")), min_size=1).filter(lambda word: not word[0].isdigit())


@given(st.lists(words, min_size=1))
def test_written_line_by_line_is_read_back(names: list[str]) -> None:
    assert labels.parse("\n".join(names)) == tuple(names)


@given(st.dictionaries(st.integers(0, 300), words, min_size=1))
def test_written_with_ids_is_read_back(names: dict[int, str]) -> None:
    found = labels.parse("".join(f"{i}  {names[i]}\n" for i in sorted(names)))
    assert {i: name for i, name in enumerate(found) if name} == names


@given(st.text())
def test_any_text_gives_printable_labels(text: str) -> None:
    assert all(label.isprintable() for label in labels.parse(text))


def test_files_that_are_no_label_files(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    with pytest.raises(ModelError, match="cannot read the labels"):
        labels.read(path)
    path.write_bytes(b"caf\xe9\n")
    with pytest.raises(ModelError, match="UTF-8"):
        labels.read(path)
    path.write_bytes(b"TFL3\0\0")
    with pytest.raises(ModelError, match="not a text file"):
        labels.read(path)
    path.write_bytes(b"a\n" * labels.MAX_BYTES)
    with pytest.raises(ModelError, match="is over"):
        labels.read(path)


@pytest.mark.real
def test_public_label_files(real: Path) -> None:
    coco = labels.read(real / "coco_labels.txt")
    assert (len(coco), coco[0], coco[11], coco[12]) == (90, "person", "", "stop sign")
    imagenet = labels.read(real / "imagenet_labels.txt")
    assert (len(imagenet), imagenet[0], imagenet[286]) == (1001, "background", "Egyptian cat")
