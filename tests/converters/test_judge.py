"""Model files judged as the device runs them: the bundled ones, on pictures of known truth."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from converters.average_precision import Truth
from converters.coco import NAMES
from converters.dataset import Sample
from converters.evaluate import Labelled, Predictor, judge_detector
from converters.judge import judge, judge_all
from converters.judging.figures import Figures
from edgecam import jpeg
from edgecam.errors import UsageError
from edgecam.types import Classification, Detections, HeadOptions, Image

ROOT = Path(__file__).resolve().parent.parent.parent
DETECTOR = ROOT / "models" / "detect-coco.tflite"
PERSON = ROOT / "models" / "classify-person.tflite"
WALL = ROOT / "edgecam" / "sources" / "assets" / "wall.jpg"
LABELS = ("person", "no person")


@pytest.fixture(scope="module")
def wall() -> Image:
    """Photographs of two persons, a cat and a cup."""
    return jpeg.decode(WALL.read_bytes())


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory, wall: Image) -> list[Path]:
    """Twelve parts of it."""
    folder = tmp_path_factory.mktemp("tiles")
    paths = []
    for n in range(12):
        y, x = divmod(n, 4)
        part = wall[y * 300 : y * 300 + 300, x * 500 : x * 500 + 500]
        paths.append(folder / f"{n}.jpg")
        paths[-1].write_bytes(jpeg.encode(np.ascontiguousarray(part)))
    return paths


def test_a_classifier_is_judged_by_its_own_answers(tiles: list[Path]) -> None:
    """The same model, asked picture by picture, is the truth: it must be right everywhere."""
    from edgecam.sources.images import load_picture

    with Predictor(PERSON) as predictor:
        said = []
        for path in tiles:
            result = predictor(load_picture(path))
            assert isinstance(result, Classification)
            said.append((int(result.class_id[0]), float(result.score[0])))
    found = judge(PERSON, [Sample(path, c) for path, (c, _) in zip(tiles, said, strict=True)], LABELS)
    assert found.accuracy.top1 == 1.0
    shown = [sum(c == n for c, _ in said) for n in range(2)]
    assert [c.shown for c in found.accuracy.classes] == shown
    assert found.accuracy.confusion == ((shown[0], 0, 0), (0, shown[1], 0))
    assert sum(n for n, _, _ in found.accuracy.reliability) == 12
    # and wrong everywhere if the truth is turned round; its confidence is then all error
    turned = judge(PERSON, [Sample(path, 1 - c) for path, (c, _) in zip(tiles, said, strict=True)], LABELS)
    assert turned.accuracy.top1 == 0.0
    assert turned.accuracy.ece == pytest.approx(np.mean([score for _, score in said]), abs=1e-6)


def test_names_in_another_order(tiles: list[Path]) -> None:
    samples = [Sample(path, 0) for path in tiles]
    straight = judge(PERSON, samples, LABELS).accuracy
    turned = judge(PERSON, [Sample(path, 1) for path in tiles], LABELS[::-1]).accuracy
    assert straight.top1 == turned.top1
    assert [c.name for c in turned.classes] == ["no person", "person"]
    assert turned.classes[1].found == straight.classes[0].found


def test_what_the_file_costs(tiles: list[Path]) -> None:
    found = judge(PERSON, [Sample(tiles[0], 0)], LABELS, threads=1)
    assert found.bytes == PERSON.stat().st_size
    assert found.macs == 7_489_664
    assert found.threads == "CPU x1"
    assert 0 < found.invoke_ms < found.total_ms <= found.p95_ms
    assert found.rate > 0
    assert found.bare_rate == pytest.approx(1000 / found.invoke_ms, rel=0.01)


def test_figures_go_through_json(tiles: list[Path]) -> None:
    for samples, model, names in (
        ([Sample(tiles[0], 0)], PERSON, LABELS),
        (
            [Sample(tiles[0], truth=Truth(np.zeros((0, 4), np.float32), np.zeros(0, np.int32)))],
            DETECTOR,
            NAMES,
        ),
    ):
        found = judge(model, samples, names)
        assert Figures.from_dict(json.loads(json.dumps(found.as_dict(), allow_nan=False))) == found


def test_a_detector_by_two_ways(wall: Image) -> None:
    """As the judge of the bundled models sees it; truth made of what it finds with certainty."""
    with Predictor(DETECTOR, HeadOptions(threshold=0.6)) as predictor:
        result = predictor(wall)
        assert isinstance(result, Detections)
        known = sorted({predictor.spec.labels[c] for c in result.class_id})
        ids = [known.index(predictor.spec.labels[c]) for c in result.class_id]
    moved = result.xyxy + np.float32(15)
    truth = Truth(moved, np.array(ids, np.int32))
    found = judge(DETECTOR, [Sample(WALL, truth=truth)], known).accuracy
    other = judge_detector(DETECTOR, [Labelled(WALL, wall, truth)], known)
    assert found.ap50 == pytest.approx(other.ap50)
    assert found.ap == pytest.approx(other.ap)
    assert found.ap is not None
    assert 0 < found.ap < 1
    assert sum(c.found for c in found.classes) == len(result)
    assert [c.shown for c in found.classes] == [ids.count(n) for n in range(len(known))]


def test_side_by_side(tiles: list[Path]) -> None:
    samples = [Sample(path, 0) for path in tiles]
    seen: list[tuple[int, int | None]] = []
    together = judge_all(
        {"a": PERSON, "b": PERSON}, samples, LABELS, progress=lambda done, total: seen.append((done, total))
    )
    alone = judge(PERSON, samples, LABELS)
    assert together.figures["a"].accuracy == together.figures["b"].accuracy == alone.accuracy
    np.testing.assert_array_equal(together.answers["a"].scores, together.answers["b"].scores)
    assert seen[-1] == (12, 12)
    assert together.truth.paths == tuple(map(str, tiles))


def test_broken_pictures_are_left_out_by_name(tiles: list[Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(tiles[0].read_bytes()[:200])
    found = judge(PERSON, [Sample(broken, 0), Sample(tiles[0], 0), Sample(tmp_path / "none.jpg", 0)], LABELS)
    assert found.skipped == tuple(sorted([str(broken), str(tmp_path / "none.jpg")]))
    assert found.accuracy.pictures == 1
    with pytest.raises(UsageError, match="not one"):
        judge(PERSON, [Sample(broken, 0)], LABELS)


@pytest.mark.parametrize(
    ("samples", "names", "reason"),
    [
        ([], LABELS, "no pictures"),
        (
            [Sample(WALL, truth=Truth(np.zeros((0, 4), np.float32), np.zeros(0, np.int32)))],
            LABELS,
            "task classify",
        ),
        ([Sample(WALL, 0)], ("person", "unicorn"), "no label 'unicorn'"),
    ],
)
def test_what_cannot_be_judged(samples: list[Sample], names: tuple[str, ...], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        judge(PERSON, samples, names)
