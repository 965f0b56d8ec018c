"""The picture shown when there is none."""

import numpy as np
import pytest

from edgecam import placard as module
from edgecam.placard import placard
from edgecam.text import render

TITLE, MESSAGE = "Camera lost at 14:03:21", "/dev/video0 does not answer; trying again in 4 s"


@pytest.mark.parametrize("size", [(320, 240), (426, 240), (1280, 720), (720, 1280), (3840, 2160)])
def test_dark_with_light_text_in_the_middle(size: tuple[int, int]) -> None:
    image = placard(size, TITLE, MESSAGE)
    width, height = size
    assert image.shape == (height, width, 3) and image.dtype == np.uint8
    assert np.median(image) < 50
    rows = np.flatnonzero((image.min(axis=2) > 130).any(axis=1))
    columns = np.flatnonzero((image.min(axis=2) > 130).any(axis=0))
    assert rows[0] > height * 0.2 and rows[-1] < height * 0.8
    assert columns[0] >= width * 0.04 and columns[-1] <= width * 0.96
    assert abs((rows[0] + rows[-1]) / 2 - height / 2) < height * 0.1
    assert abs((columns[0] + columns[-1]) / 2 - width / 2) < width * 0.03


def test_the_text_is_that_given() -> None:
    assert (placard((320, 240), TITLE, MESSAGE) == placard((320, 240), TITLE, MESSAGE)).all()
    assert (
        placard((320, 240), TITLE, MESSAGE) != placard((320, 240), "Camera lost at 14:03:22", MESSAGE)
    ).any()
    assert (placard((320, 240), TITLE, MESSAGE) != placard((320, 240), TITLE, "other")).any()


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (16, 9), (64, 48), (2000, 20), (20, 2000)])
def test_any_size_goes(size: tuple[int, int]) -> None:
    assert placard(size, TITLE, MESSAGE * 5).shape == (size[1], size[0], 3)


def test_any_script_and_emptiness_go() -> None:
    assert placard((320, 240), "摄像头已断开", "正在重新连接" * 10).max() > 200
    assert placard((320, 240), "", "").shape == (240, 320, 3)


def test_long_messages_are_wrapped_at_blanks_and_bounded() -> None:
    lines = module._wrap("one two three four five six seven", 20, 120)
    assert " ".join(lines) == "one two three four five six seven" and len(lines) > 1
    assert all(render.width(line, 20) <= 120 for line in lines)
    assert len(module._wrap("word " * 40, 20, 120)) == 4
    chinese = module._wrap("正在重新连接" * 5, 20, 120)
    assert "".join(chinese[:3]) in "正在重新连接" * 5
    assert all(render.width(line, 20) <= 120 for line in chinese[:3])
