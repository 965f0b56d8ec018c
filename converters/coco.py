"""The COCO classes as the TensorFlow Object Detection API numbers them."""

from __future__ import annotations

# Ids 1 to 90; ten of them were dropped before the data set came out.
_UNUSED = frozenset({12, 26, 29, 30, 45, 66, 68, 69, 71, 83})

NAMES = tuple(
    """
    person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant,
    stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe,
    backpack, umbrella, handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat,
    baseball glove, skateboard, surfboard, tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl,
    banana, apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake, chair, couch,
    potted plant, bed, dining table, toilet, tv, laptop, mouse, remote, keyboard, cell phone, microwave,
    oven, toaster, sink, refrigerator, book, clock, vase, scissors, teddy bear, hair drier, toothbrush
    """.replace("\n", " ")
    .strip()
    .split(", ")
)
NAMES = tuple(" ".join(name.split()) for name in NAMES)
"""The 80 names, in order."""


def slots() -> tuple[str, ...]:
    """Labels for a detector that numbers its classes from 0 after background: 90 slots, "" where unused."""
    names = iter(NAMES)
    return tuple("" if number in _UNUSED else next(names) for number in range(1, 91))
