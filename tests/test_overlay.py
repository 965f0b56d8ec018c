"""What is drawn into a picture."""

import threading

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgecam.overlay import Overlay, class_color, masks, shapes, status_texts
from edgecam.overlay.colors import BLACK, WHITE, ink_on
from edgecam.types import Classification, Detections, Frame, Image, Packet, Status

STATUS = Status(
    "running", model="detect-coco", device="CPU x4", camera_fps=29.97, inference_ms=12.34, age_ms=35.2
)
SIZES = [(426, 240), (1280, 720), (3840, 2160), (720, 1280)]


def detections(*boxes: tuple[float, float, float, float], keypoints: bool = False) -> Detections:
    xyxy = np.array(boxes, np.float32).reshape(-1, 4)
    n = len(xyxy)
    points = (xyxy.reshape(n, 2, 2) * 0.5 + 10).astype(np.float32) if keypoints else None
    return Detections(xyxy, np.linspace(0.9, 0.5, n, dtype=np.float32), np.arange(n, dtype=np.int32), points)


def packet(
    image: Image, result: Detections | Classification | None, labels: list[str] | None = None
) -> Packet:
    return Packet(Frame(0, image), result, labels or ["person", "dog", "cat"], STATUS)


def gray(width: int, height: int, value: int = 128) -> Image:
    return np.full((height, width, 3), value, np.uint8)


def changed(before: Image, after: Image) -> Image:
    """Where the two differ, bool (H, W)."""
    return np.asarray((before != after).any(axis=2))


def test_frame_is_not_touched_and_may_be_read_only() -> None:
    image = gray(640, 480)
    image.setflags(write=False)
    drawn = Overlay().draw(packet(image, detections((100, 100, 200, 200), keypoints=True)))
    assert drawn.shape == image.shape and drawn.dtype == np.uint8
    assert (image == 128).all() and (drawn != image).any()
    assert not np.shares_memory(drawn, image)


def test_picture_is_drawn_once_through_the_packet() -> None:
    overlay = Overlay()
    shown = Packet(Frame(0, gray(320, 240)), detections((10, 10, 200, 200)), ["a"], STATUS, overlay.draw)
    assert shown.picture() is shown.picture()


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_box_is_where_the_detection_is(width: int, height: int) -> None:
    box = (round(width * 0.3), round(height * 0.3), round(width * 0.6), round(height * 0.7))
    image = gray(width, height)
    drawn = Overlay(status=False).draw(packet(image, detections(box)))
    red_edges = (drawn == class_color(0)).all(axis=2)
    ys, xs = np.nonzero(red_edges[round(height * 0.35) :])  # under the label
    assert xs.min() == box[0] and xs.max() == box[2] - 1
    assert ys.max() + round(height * 0.35) == box[3] - 1
    line = shapes.Scale.of(width, height).line
    inside = drawn[box[1] + 3 * line + 40 * line : box[3] - 3 * line, box[0] + 3 * line : box[2] - 3 * line]
    assert (inside == 128).all()


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_sizes_follow_the_picture(width: int, height: int) -> None:
    scale = shapes.Scale.of(width, height)
    assert scale.text == max(12, round(min(width, height) / 40))
    drawn = Overlay(status=False).draw(
        packet(gray(width, height), detections((10, height / 2, 60, height / 2 + 40)))
    )
    plate = (drawn == class_color(0)).all(axis=2)
    rows = np.flatnonzero(plate[:, : round(scale.text)].any(axis=1))
    assert len(rows) > scale.text


@pytest.mark.parametrize("value", [0, 255, 60, 200])
def test_box_shows_on_any_ground(value: int) -> None:
    """Next to the coloured line runs a dark one, so one of the two stands out from whatever is behind."""
    drawn = Overlay(status=False).draw(packet(gray(640, 480, value), detections((100, 200, 300, 400))))
    column = drawn[390, 90:130].astype(int)
    assert (column == class_color(0)).all(axis=1).any()
    assert np.abs(column - value).max() > 100


def test_ground_is_where_no_box_is() -> None:
    image = gray(640, 480)
    drawn = Overlay(status=False).draw(packet(image, Detections.empty()))
    assert (drawn == image).all()


def test_labels_stay_inside_and_apart() -> None:
    scale = shapes.Scale.of(640, 480)
    taken: list[shapes.Rect] = []
    boxes = [(x, y, x + 150, y + 120) for x in (0, 245, 490) for y in (0, 5, 180, 190, 360)]
    for box in boxes:
        rect = shapes.place(box, 100, 20, scale, taken)
        assert rect[0] >= 0 and rect[1] >= 0 and rect[2] <= 640 and rect[3] <= 480
        assert not any(shapes._overlap(rect, other) for other in taken)
        taken.append(rect)


def test_a_tiny_picture_keeps_two_thirds_for_itself() -> None:
    image = gray(96, 96)
    drawn = Overlay().draw(packet(image, Detections.empty()))
    rows = np.flatnonzero(changed(image, drawn).any(axis=1))
    assert rows[0] >= 64 and rows[-1] == 95


def test_label_of_the_best_is_on_top() -> None:
    box = (100.0, 100.0, 130.0, 110.0)
    drawn = Overlay(status=False).draw(packet(gray(640, 480), detections(*[box] * 30)))
    best = (drawn == class_color(0)).all(axis=2)
    assert best[85:99, 102].any()


def test_a_long_label_is_cut_to_the_picture() -> None:
    text = "an endless label " * 8
    drawn = Overlay(status=False).draw(packet(gray(320, 240), detections((0, 100, 320, 200)), [text]))
    assert drawn.shape == (240, 320, 3)
    plate = (drawn[85] == class_color(0)).all(axis=1)
    # Cut where a letter ends: at most two letters short of the edge.
    assert plate[0] and plate[-24:].any()


@pytest.mark.parametrize(
    "label", ["狗", "ねこ", "고양이", "собака", "σκύλος", "كلب", "כלב", "कुत्ता", "สุนัข", "dog"]
)
def test_labels_in_any_script_draw_their_own_letters(label: str) -> None:
    """Not question marks and not the hollow box of a missing glyph."""
    store = masks.Masks()
    mask = store.get(label, 24, 500).mask
    assert mask.max() > 200
    for wrong in ("?" * len(label), "\U000f0000" * len(label)):
        other = store.get(wrong, 24, 500).mask
        assert mask.shape != other.shape or (mask != other).mean() > 0.05


def test_keypoints_are_drawn_and_bad_ones_left_out() -> None:
    found = detections((100, 100, 400, 400))
    points = np.array([[[200, 300], [np.nan, 5], [np.inf, 5], [-1e9, 1e9], [-3, -3]]], np.float32)
    found = Detections(found.xyxy, found.score, found.class_id, points)
    drawn = Overlay(status=False).draw(packet(gray(640, 480), found))
    assert tuple(drawn[300, 200]) == class_color(0)


def test_boxes_that_are_not_numbers_are_left_out() -> None:
    image = gray(640, 480)
    found = detections((np.nan, 0, 5, 5), (0, 0, np.inf, 9))
    assert not changed(image, Overlay(status=False).draw(packet(image, found))).any()


def test_classes_are_listed_with_bars_as_long_as_their_scores() -> None:
    scores = np.array([0.8, 0.4, 0.1], np.float32)
    result = Classification(scores, np.arange(3, dtype=np.int32))
    drawn = Overlay(status=False).draw(packet(gray(1280, 720, 255), result))
    lengths = [int((drawn == class_color(i)).all(axis=2).any(axis=0).sum()) for i in range(3)]
    assert lengths[0] == pytest.approx(2 * lengths[1], abs=2)
    assert lengths[1] == pytest.approx(4 * lengths[2], abs=4)
    assert (drawn[:60, 400:] == 255).all()


def test_status_line_says_everything() -> None:
    status = Status(
        camera_fps=29.97,
        inference_fps=14.5,
        inference_ms=61.2,
        age_ms=80.4,
        dropped=7,
        model="detect-coco",
        device="Edge TPU usb:0",
    )
    said = " | ".join(status_texts(status))
    for part in ("30.0 FPS", "14.5 FPS", "61.2 ms", "80 ms", "drops 7", "detect-coco", "Edge TPU usb:0"):
        assert part in said
    assert status_texts(Status())[-1] == "drops 0"  # nothing empty where model and device are unknown


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("value", [0, 255])
def test_status_line_is_light_on_dark_along_the_lower_edge(width: int, height: int, value: int) -> None:
    drawn = Overlay().draw(packet(gray(width, height, value), Detections.empty()))
    rows = (
        np.flatnonzero((drawn > 230).all(axis=2).any(axis=1))
        if value == 0
        else np.flatnonzero((drawn < 100).all(axis=2).any(axis=1))
    )
    assert rows[-1] > height - 2 * shapes.Scale.of(width, height).text
    assert rows[0] > height * 0.7
    band = drawn[rows[0] :]
    assert (band.min(axis=2) < 100).mean() > 0.6 and (band.max(axis=2) > 230).mean() > 0.02


def test_placard_is_shown_as_it_is() -> None:
    image = gray(320, 240)
    drawn = Overlay().draw(packet(image, None))
    assert (drawn == image).all() and drawn is not image


def test_colours_are_stable_and_neighbours_differ() -> None:
    assert class_color(0) == (113, 180, 248)
    hues = [cv2.cvtColor(np.uint8([[class_color(i)]]), cv2.COLOR_RGB2HSV_FULL)[0, 0, 0] for i in range(8)]
    gaps = [
        min(abs(int(a) - int(b)), 256 - abs(int(a) - int(b))) for i, a in enumerate(hues) for b in hues[:i]
    ]
    assert min(gaps) > 12
    assert len({class_color(i) for i in range(1000)}) > 850


@given(st.integers(-(2**31), 2**31 - 1))
def test_ink_reads_on_every_class_colour(class_id: int) -> None:
    def luminance(color: tuple[int, int, int]) -> float:
        parts = [v / 255 for v in color]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    color = class_color(class_id)
    assert luminance(color) > 0.15  # no colour is lost on a dark ground
    assert ink_on(color) in (BLACK, WHITE)
    light, dark = sorted((luminance(ink_on(color)), luminance(color)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5  # what WCAG 2 asks for text


def test_texts_are_kept_within_their_limit() -> None:
    store = masks.Masks(limit=50_000)
    for i in range(300):
        store.get(f"label {i}", 20, 400)
    assert sum(text.mask.nbytes for text in store._masks.values()) == store._bytes <= 50_000
    assert store.get("label 299", 20, 400) is store.get("label 299", 20, 400)


def test_one_overlay_serves_many_threads() -> None:
    overlay = Overlay()
    result = detections((10, 10, 90, 90), (50, 50, 200, 150))
    expected = Overlay().draw(packet(gray(320, 240), result))
    same: list[bool] = []

    def work() -> None:
        same.extend(bool((overlay.draw(packet(gray(320, 240), result)) == expected).all()) for _ in range(10))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert same == [True] * 40


@settings(max_examples=80, deadline=None)
@given(
    st.integers(1, 200),
    st.integers(1, 200),
    hnp.arrays(np.float32, (4, 4), elements=st.floats(-1e6, 1e6, width=32) | st.just(np.float32("nan"))),
    st.text(max_size=40),
)
def test_nothing_in_a_result_can_break_the_drawing(width: int, height: int, xyxy: Image, label: str) -> None:
    n = len(xyxy)
    score = np.array([np.nan, np.inf, -1, 2], np.float32)
    class_id = np.array([0, 1, -7, 99], np.int32)
    points = xyxy.reshape(n, 2, 2)
    for result in (
        Detections(np.asarray(xyxy, np.float32), score, class_id, points),
        Classification(score, class_id),
    ):
        drawn = Overlay().draw(packet(gray(width, height), result, [label, ""]))
        assert drawn.shape == (height, width, 3)
