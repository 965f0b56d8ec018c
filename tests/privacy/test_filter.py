"""The private frame: what is in it, when it is made, and what there is when it cannot be."""

import gc
import threading

import numpy as np
import pytest

from edgecam import jpeg
from edgecam.errors import EngineError, FrameError
from edgecam.privacy.faces import Faces, closer
from edgecam.privacy.filter import Privacy, Rules, Shown
from edgecam.privacy.mask import Mask
from edgecam.privacy.paint import COLOR
from edgecam.types import Classification, Detections, Frame

from .support import LABELS, NO_BOXES, boxes, closing, detections, jpeg_frame, red, redness

LEFT_HALF = Mask(((0, 0), (0.5, 0), (0.5, 1), (0, 1)), model=True)


def test_the_cameras_bytes_do_not_go_on_and_the_picture_is_made_once_when_asked_for() -> None:
    asked: list[Frame] = []

    def find(frame: Frame) -> Detections:
        asked.append(frame)
        return detections((0, 0, 10, 10))

    raw = jpeg_frame(red())
    with closing(Privacy(Rules(), faces=Faces(find))) as privacy:
        frame, _ = privacy.protect(raw, Detections.empty(), LABELS)
        assert frame.jpeg is None and not asked  # nobody looks, nothing is done
        first, again = frame.image, frame.image
        assert first is again and len(asked) == 1
        assert frame.times is raw.times and (frame.seq, frame.size) == (raw.seq, raw.size)
        assert (first[:10, :10] == COLOR).all() and redness(first) < 1
        assert redness(raw.image) == 1  # the camera's picture is not written into
        shown = jpeg.of(frame)
        assert shown is jpeg.of(frame) and shown != raw.jpeg


def test_once_made_the_cameras_picture_cannot_be_reached_from_it() -> None:
    raw = jpeg_frame(red())
    secret = raw.jpeg
    frame, _ = Privacy(Rules(masks=(LEFT_HALF,))).protect(raw, Detections.empty(), LABELS)
    frame.image  # noqa: B018
    del raw
    held = [other for other in gc.get_referrers(secret) if isinstance(other, Frame)]
    assert held == []


def test_boxes_of_a_class_are_covered_with_a_margin_and_held() -> None:
    privacy = Privacy(Rules(classes=("person",), margin=0.5, hold=1.0))
    one = detections((20, 10, 30, 20), (2, 2, 6, 6), labels=(0, 1))
    shown, _ = privacy.protect(Frame(0, red(), media_time=0.0), one, LABELS)
    assert (shown.image[5:25, 15:35] == COLOR).all() and redness(shown.image[:5]) == 1
    assert redness(shown.image[2:6, 2:6]) == 1  # a dog is nobody's secret
    for seconds, covered in ((0.5, True), (0.99, True), (1.6, False)):
        later, _ = privacy.protect(Frame(1, red(), media_time=seconds), Detections.empty(), LABELS)
        assert (redness(later.image) < 1) == covered, seconds


def test_the_boxes_are_those_of_their_moment_however_late_the_picture_is_asked_for() -> None:
    privacy = Privacy(Rules(classes=("person",), margin=0.0, hold=0.0))
    early, _ = privacy.protect(Frame(0, red(), media_time=0.0), detections((0, 0, 8, 8)), LABELS)
    late, _ = privacy.protect(Frame(1, red(), media_time=0.1), detections((40, 20, 48, 28)), LABELS)
    assert redness(late.image[:8, :8]) == 1
    assert (early.image[:8, :8] == COLOR).all() and redness(early.image[20:28, 40:48]) == 1


def test_a_mask_hides_from_the_model_only_where_it_says_so() -> None:
    both = (LEFT_HALF, Mask(((0.5, 0), (1, 0), (1, 1), (0.5, 1))))
    privacy = Privacy(Rules(masks=both))
    raw = jpeg_frame(red())
    seen = privacy.for_model(raw)
    assert seen.jpeg is None and redness(seen.pixels(8, 8)) == pytest.approx(0.5, abs=0.05)
    shown, _ = privacy.protect(raw, Detections.empty(), LABELS)
    assert redness(shown.image) == 0
    assert Privacy(Rules(masks=both[1:])).for_model(raw) is raw


def test_more_is_looked_for_than_shown() -> None:
    shown = Shown(threshold=0.5, classes=("dog",), top_k=2)
    found = detections(*[(i, 0, i + 1, 1) for i in range(6)], labels=(0, 1, 0, 1, 1, 1))
    privacy = Privacy(Rules(classes=("person",)), shown=shown)
    _, result = privacy.protect(Frame(0, red()), found, LABELS)
    assert isinstance(result, Detections)
    assert result.class_id.tolist() == [1, 1] and result.xyxy[:, 0].tolist() == [1, 3]


# Closed where it fails


def hopeless(privacy: Privacy, result: Detections | Classification | None = None) -> str:
    """The reason, once it is sure that no picture leaves and results do."""
    raw = jpeg_frame(red(320, 240))
    frame, found = privacy.protect(raw, detections((0, 0, 9, 9)) if result is None else result, LABELS)
    assert redness(frame.image) == 0 and frame.image.shape == (240, 320, 3) and frame.jpeg is None
    assert len(np.unique(frame.image)) > 30  # a placard with words, not a black picture
    assert len(found) == 1
    return privacy.trouble


def test_a_model_that_is_missing() -> None:
    assert hopeless(Privacy(Rules(), broken="the face model cannot be used")).startswith("the face model")


def test_a_face_model_that_raises_and_works_again() -> None:
    failures = [EngineError("the interpreter failed"), RuntimeError("boom")]

    def find(frame: Frame) -> Detections:
        if failures:
            raise failures.pop(0)
        return Detections.empty()

    with closing(Privacy(Rules(), faces=Faces(find))) as privacy:
        assert hopeless(privacy) == "looking for faces failed (the interpreter failed)"
        assert hopeless(privacy) == "looking for faces failed (boom)"
        frame, _ = privacy.protect(jpeg_frame(red()), Detections.empty(), LABELS)
        assert redness(frame.image) == 1 and privacy.trouble == ""


def test_a_face_model_that_hangs_and_wakes() -> None:
    go, asked = threading.Event(), []

    def find(frame: Frame) -> Detections:
        asked.append(frame)
        assert go.wait(30)
        return Detections.empty()

    with closing(Privacy(Rules(), faces=Faces(find, patience=0.2))) as privacy:
        assert hopeless(privacy) == "looking for faces takes over 0.2 s"
        assert hopeless(privacy) == "looking for faces takes over 0.2 s"
        assert len(asked) == 1  # nothing piles up behind it
        go.set()
        for _ in range(100):
            frame, _ = privacy.protect(jpeg_frame(red()), Detections.empty(), LABELS)
            if redness(frame.image) == 1:
                break
        assert privacy.trouble == ""


def test_a_hung_face_model_is_left_behind() -> None:
    go = threading.Event()

    def find(frame: Frame) -> Detections:
        assert go.wait(30)
        return Detections.empty()

    faces = Faces(find, patience=0.1)
    hopeless(Privacy(Rules(), faces=faces))
    assert not faces.close()
    go.set()


def test_covering_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError("no memory")

    monkeypatch.setattr("edgecam.privacy.filter.cover_masks", fail)
    assert hopeless(Privacy(Rules(masks=(LEFT_HALF,)))) == "covering failed (MemoryError: no memory)"


def test_a_model_that_does_not_know_what_to_cover() -> None:
    assert hopeless(Privacy(Rules(classes=("cat",)))) == "the model in use does not know 'cat'"
    classes = Classification(np.array([0.9], np.float32), np.array([0], np.int32))
    assert "finds no boxes" in hopeless(Privacy(Rules(classes=("person",))), classes)


def test_a_broken_jpeg_stays_broken() -> None:
    def decode(*_: object) -> None:
        raise FrameError("broken JPEG picture")

    raw = Frame(0, jpeg=b"x", size=(8, 8), decode=decode)  # type: ignore[arg-type]
    frame, _ = Privacy(Rules(masks=(LEFT_HALF,))).protect(raw, Detections.empty(), LABELS)
    with pytest.raises(FrameError):
        frame.image  # noqa: B018


# Where faces are looked for


def test_persons_are_looked_at_closer_and_faces_land_where_they_are() -> None:
    def find(frame: Frame) -> Detections:
        return Detections.empty() if frame.size == (640, 480) else detections((5, 6, 15, 16))

    faces = Faces(find)
    found = faces(red(640, 480), boxes((100, 200, 150, 400)))
    assert faces.close() and found.tolist() == [[95 + 5, 180 + 6, 95 + 15, 180 + 16]]


def test_the_largest_persons_within_the_picture() -> None:
    rows = [(10.0 * i, 10.0, 10.0 * i + 30 + i, 200.0) for i in range(12)]
    regions = closer(boxes(*rows, (0, 0, 5, 5), (-50, -50, 900, 900)), 320, 240)
    assert len(regions) == 8 and regions[0] == (0, 0, 320, 240)
    assert all(0 <= a < c <= 320 and 0 <= b < d <= 240 for a, b, c, d in regions)
    assert closer(NO_BOXES, 320, 240) == []
