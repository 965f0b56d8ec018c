"""What TensorFlow says when its converter refuses, and what is made of it; ERF is as version 2.21 gave it."""

from __future__ import annotations

import pytest

from converters import recipes, tfconvert

ERF = (
    "Could not translate MLIR to FlatBuffer.<frozen runpy>:198:1: error: "
    "'tf.Erf' op is neither a custom op nor a flex op\n<frozen runpy>:88:1: note: called from\n"
)


@pytest.mark.parametrize(
    ("text", "message", "remedy"),
    [
        (ERF, "TFLite has no operators for Erf", "no recipe can convert them"),
        (ERF + ERF.replace("Erf", "Angle"), "TFLite has no operators for Angle, Erf", "no recipe"),
        ("Some ops\n\tFlex ops: FlexErfinv\nDetails", "TFLite has no operators for FlexErfinv", "no recipe"),
        ("Quantization not yet supported for op: 'SIN'", "SIN cannot be int8", "int8-float-fallback"),
        (
            "\nsomething else\nand more",
            "the converter fails: something else",
            "int8-float-fallback, or dynamic",
        ),
        ("", "the converter fails: no reason given", "try the recipe"),
    ],
)
def test_the_operators_are_named(text: str, message: str, remedy: str) -> None:
    error = tfconvert._refused(text, recipes.quantization("int8"))
    assert error.message == message
    assert remedy in error.remedy
