"""The documented conditions, operator by operator: kept and broken."""

from __future__ import annotations

from typing import Any

import pytest

from converters.edgetpu import operators, rules
from tests.converters.edgetpu.graphs import chain, integers, options, single, tensor, weights
from tests.engines.writer import FLOAT32, INT32, UINT8, T

PICTURE = tensor(1, 8, 8, 4)
INT16 = 7


def problem(model: bytes) -> str:
    return rules.problem(operators.read(model)[0])


def conv(name: str = "CONV_2D", **more: Any) -> bytes:
    kernel = more.pop("kernel", weights(4, 3, 3, 4))
    bias = more.pop("bias", integers(1, 2, 3, 4))
    return single(name, [PICTURE, kernel, bias], tensor(1, 8, 8, 4), more.pop("settings", None))


GOOD = {
    "uint8": single("LOGISTIC", [tensor(1, 8, 8, 4, type=UINT8)], tensor(1, 8, 8, 4, type=UINT8)),
    "average pool": single("AVERAGE_POOL_2D", [PICTURE], PICTURE, options(f3=("i", 2))),
    "convolution": conv(),
    "dilated convolution": conv(settings=options(f4=("i", 2), f5=("i", 2))),
    "depthwise": conv("DEPTHWISE_CONV_2D", settings=options(f3=("i", 1), f5=("i", 2), f6=("i", 2))),
    "concatenation": single("CONCATENATION", [PICTURE, PICTURE, PICTURE], tensor(1, 8, 8, 12)),
    "zero padding": single(
        "CONCATENATION", [PICTURE, tensor(1, 8, 8, 4, data=bytes(256))], tensor(1, 8, 8, 8)
    ),
    "dense": single("FULLY_CONNECTED", [tensor(1, 16), weights(10, 16)], tensor(1, 10)),
    "softmax": single("SOFTMAX", [tensor(1, 16_000)], tensor(1, 16_000)),
    "mean over the picture": single("MEAN", [PICTURE, integers(1, 2)], tensor(1, 4)),
    "mean over channels": single("MEAN", [PICTURE, integers(-1)], tensor(1, 8, 8)),
    "pad": single("PAD", [PICTURE, integers(0, 0, 1, 1, 1, 1, 0, 0, shape=(4, 2))], tensor(1, 10, 10, 4)),
    "slice": single(
        "STRIDED_SLICE",
        [PICTURE, integers(0, 0, 0, 0), integers(1, 4, 8, 4), integers(1, 1, 1, 1)],
        tensor(1, 4, 8, 4),
        options(f0=("i", 1), f1=("i", 2)),
    ),
    "split": single("SPLIT", [integers(3), PICTURE], tensor(1, 8, 8, 2)),
    "prelu": single("PRELU", [PICTURE, weights(1, 1, 4)], PICTURE),
    "pack": single("PACK", [tensor(8, 4), tensor(8, 4)], tensor(8, 2, 4), options(f1=("i", 1))),
    "transposed convolution": single(
        "TRANSPOSE_CONV", [integers(1, 8, 8, 4), weights(4, 3, 3, 4), PICTURE], PICTURE
    ),
    "maximum over the picture": single("REDUCE_MAX", [PICTURE, integers(1)], tensor(1, 8, 4)),
    "a pool of 3 dimensions": single("RELU", [tensor(1, 1, 1, 8, 8, 4)], tensor(1, 1, 1, 8, 8, 4)),
}


@pytest.mark.parametrize("model", GOOD.values(), ids=GOOD.keys())
def test_what_is_supported(model: bytes) -> None:
    assert problem(model) == ""


BAD = {
    "no such operator": (chain("HARD_SWISH"), "not supported"),
    "newer operator": (chain("GELU"), "not supported"),
    "float": (
        single("RELU", [tensor(1, 4, type=FLOAT32, quant=None)], tensor(1, 4, type=FLOAT32)),
        "float32",
    ),
    "int16": (single("RELU", [tensor(1, 4, type=INT16)], tensor(1, 4, type=INT16)), "int16"),
    "int32 result": (single("RELU", [tensor(1, 4)], tensor(1, 4, type=INT32)), "int32"),
    "int8 without scale": (single("RELU", [tensor(1, 4, quant=None)], tensor(1, 4)), "not quantised"),
    "free batch": (
        single("RELU", [tensor(1, 4, signature=(-1, 4))], tensor(1, 4, signature=(-1, 4))),
        "size is not fixed",
    ),
    "batch of two": (single("RELU", [tensor(2, 8, 8, 4)], tensor(2, 8, 8, 4)), "three dimensions"),
    "weights that are computed": (conv(kernel=tensor(4, 3, 3, 4)), "weights are not constant"),
    "float weights": (
        conv(kernel=T("w", (4, 1, 1, 1), FLOAT32, None, bytes(16))),
        "weights are float32",
    ),
    "computed bias": (conv(bias=tensor(4)), "bias is not constant"),
    "uneven dilation": (conv(settings=options(f4=("i", 2), f5=("i", 1))), "dilated by 2 in x and by 1 in y"),
    "uneven depthwise dilation": (
        conv("DEPTHWISE_CONV_2D", settings=options(f5=("i", 3))),
        "dilated by 3 in x and by 1 in y",
    ),
    "fused average pool": (single("AVERAGE_POOL_2D", [PICTURE], PICTURE, options(f5=("b", 1))), "fused"),
    "fused max pool": (single("MAX_POOL_2D", [PICTURE], PICTURE, options(f5=("b", 3))), "fused"),
    "fused concatenation": (
        single("CONCATENATION", [PICTURE, PICTURE], tensor(1, 8, 8, 8), options(f1=("b", 1))),
        "fused",
    ),
    "constant that is not zero": (
        single("CONCATENATION", [PICTURE, weights(1, 8, 8, 4)], tensor(1, 8, 8, 8)),
        "not all zero",
    ),
    "constant of three": (
        single("CONCATENATION", [PICTURE, PICTURE, tensor(1, 8, 8, 4, data=bytes(256))], tensor(1, 8, 8, 12)),
        "more than two",
    ),
    "shuffled weights": (
        single("FULLY_CONNECTED", [tensor(1, 16), weights(10, 16)], tensor(1, 10), options(f1=("b", 1))),
        "default format",
    ),
    "dense of many rows": (
        single("FULLY_CONNECTED", [tensor(5, 16), weights(10, 16)], tensor(5, 10)),
        "more than one dimension",
    ),
    "softmax of many rows": (
        single("SOFTMAX", [tensor(1, 5, 16)], tensor(1, 5, 16)),
        "more than one dimension",
    ),
    "large softmax": (single("SOFTMAX", [tensor(1, 16_001)], tensor(1, 16_001)), "16,000"),
    "mean over the batch": (single("MEAN", [PICTURE, integers(0, 1)], tensor(8, 4)), "batch"),
    "mean over 6 channels": (
        single("MEAN", [tensor(1, 8, 8, 6), integers(3)], tensor(1, 8, 8)),
        "multiple of 4",
    ),
    "axes that are computed": (
        single("MEAN", [PICTURE, tensor(2)], tensor(1, 4)),
        "axes that are not constant",
    ),
    "sum over the batch": (single("SUM", [PICTURE, integers(-4)], tensor(8, 8, 4)), "batch"),
    "pad of the batch": (
        single("PAD", [PICTURE, integers(0, 1, 0, 0, 0, 0, 0, 0, shape=(4, 2))], tensor(1, 8, 8, 4)),
        "batch",
    ),
    "slice with steps": (
        single(
            "STRIDED_SLICE",
            [PICTURE, integers(0, 0, 0, 0), integers(1, 8, 8, 4), integers(1, 2, 2, 1)],
            tensor(1, 4, 4, 4),
        ),
        "strides other than 1",
    ),
    "slice with a new axis": (
        single(
            "STRIDED_SLICE",
            [tensor(8, 4), integers(0, 0), integers(8, 4), integers(1, 1)],
            tensor(1, 8, 4),
            options(f3=("i", 1)),
        ),
        "new axis",
    ),
    "split of the batch": (single("SPLIT", [integers(-4), PICTURE], PICTURE), "batch"),
    "pack of the batch": (single("PACK", [tensor(8, 4)], tensor(1, 8, 4)), "batch"),
    "prelu by place": (single("PRELU", [PICTURE, weights(8, 8, 4)], PICTURE), "more than one dimension"),
}


@pytest.mark.parametrize(("model", "reason"), BAD.values(), ids=BAD.keys())
def test_what_is_not_supported(model: bytes, reason: str) -> None:
    assert reason in problem(model)


def test_what_is_not_certain() -> None:
    (op,) = operators.read(single("RESIZE_BILINEAR", [PICTURE, integers(16, 16)], tensor(1, 16, 16, 4)))
    assert rules.problem(op) == ""
    assert "depending on the sizes" in rules.doubt(op)
    assert rules.doubt(operators.read(conv())[0]) == ""
