"""Every bundled model has a card, and the card tells the truth about the file."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest

from converters.bundled import cards
from edgecam import contract
from edgecam.registry import HEADS

MODELS = Path(__file__).resolve().parent.parent.parent / "models"
FILES = sorted(MODELS.glob("*.tflite"))


def test_the_bundled_models_are_there() -> None:
    assert {path.stem for path in FILES} >= {
        "detect-coco",
        "classify-person",
        "classify-things10",
        "face",
    }
    assert {path.stem for path in FILES} == {path.stem for path in MODELS.glob("*.md")}


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def model(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


@pytest.fixture
def facts(model: Path) -> dict[str, str]:
    return cards.read_facts(model.with_suffix(".md").read_text(encoding="utf-8"))


def test_card_is_up_to_date(model: Path) -> None:
    card = model.with_suffix(".md").read_text(encoding="utf-8")
    assert cards.with_facts(card, cards.facts(model)) == card, "run: python3 -m converters.bundled"


def test_hash_and_size(model: Path, facts: dict[str, str]) -> None:
    data = model.read_bytes()
    assert facts["sha256"] == f"`{hashlib.sha256(data).hexdigest()}`"
    assert facts["size"] == f"{len(data):,} bytes"


def test_tensors_are_those_of_the_interpreter(model: Path, facts: dict[str, str]) -> None:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(model))
    interpreter.allocate_tensors()

    def listed(text: str) -> list[tuple[str, ...]]:
        return re.findall(r"`([^`]+)` ([0-9x]+) (\w+)", text)

    for fact, details in (
        ("input", interpreter.get_input_details()),
        ("outputs", interpreter.get_output_details()),
    ):
        said = listed(facts[fact])
        assert said == [
            (entry["name"], "x".join(map(str, entry["shape"])), np.dtype(entry["dtype"]).name)
            for entry in details
        ]


def test_labels_and_decoder(model: Path, facts: dict[str, str]) -> None:
    spec = contract.read(model)
    assert spec is not None
    assert int(facts["labels"].split()[0]) == sum(map(bool, spec.labels))
    assert spec.decoder in HEADS
    assert facts["task, decoder"] == f"{spec.task}, `{spec.decoder}`"
    assert facts["licence"] == spec.licence
    assert facts["origin"] == spec.origin


def test_card_says_what_people_must_know(model: Path) -> None:
    card = model.with_suffix(".md").read_text(encoding="utf-8")
    for heading in ("**What it is.**", "**Accuracy seen.**", "**Not for.**", "**Licence.**"):
        assert heading in card
    licences = re.findall(r"`(LICENSES/[^`]+)`", card)
    assert licences
    for name in licences:
        assert (MODELS / name).stat().st_size > 500
