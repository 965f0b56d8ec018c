"""The colours of classes, and the ink that reads on them."""

from __future__ import annotations

import colorsys
import functools
import math

Color = tuple[int, int, int]  # red, green, blue; 0 to 255

BLACK: Color = (0, 0, 0)
WHITE: Color = (255, 255, 255)
_GOLDEN_ANGLE = 137.507764  # degrees; successive multiples never come close to one another


@functools.lru_cache(maxsize=4096)
def class_color(class_id: int) -> Color:
    """The colour of a class, RGB: the same in every run, hues of neighbouring ids far apart.

    Hue is ``210 + id * golden angle``; three lightnesses in turn keep apart what comes near after many
    classes; blue and violet, the darkest hues, are lifted. The page has the same as ``hsl(hue, 90%, l)``.
    """
    hue = (210 + class_id * _GOLDEN_ANGLE) % 360
    lift = 0.14 * max(0.0, math.cos(math.radians(hue - 250)))
    lightness = (0.60, 0.72, 0.52)[class_id // 7 % 3] + lift
    red, green, blue = colorsys.hls_to_rgb(hue / 360, lightness, 0.9)
    return round(red * 255), round(green * 255), round(blue * 255)


@functools.lru_cache(maxsize=4096)
def ink_on(color: Color) -> Color:
    """Black or white, whichever reads better on ``color`` (contrast ratio of WCAG 2)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in color)]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return BLACK if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else WHITE
