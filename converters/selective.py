"""int8 with some layers left in float: what ``evaluate --repair`` makes. Runs in the child process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgecam.errors import ModelError


def convert(converter: Any, keep: Sequence[str], image: str, outputs: str) -> bytes:
    """A ``.tflite`` whose named layers stay float32; between them and the others values are cast.

    TensorFlow's converter has no switch for this, its debugger has: a calibrated model is quantised by the
    same function with a list of layers to pass over.

    Args:
        converter: ``tf.lite.TFLiteConverter`` with a representative data set, set for int8.
        keep: names of the layers' output tensors in the float twin.
        image: type of the input, ``uint8``, ``int8`` or ``float32``.
        outputs: type of the outputs.

    Raises:
        ModelError: this TensorFlow has no such function any more.
    """
    import tensorflow as tf

    try:
        from tensorflow.lite.python.convert import mlir_quantize
        from tensorflow.lite.python.util import modify_model_io_type
    except ImportError as error:
        raise ModelError(
            "this TensorFlow cannot keep single layers in float", "use TensorFlow 2.21, or another recipe"
        ) from error
    converter.inference_input_type = converter.inference_output_type = tf.float32
    converter._experimental_calibrate_only = True
    quantised = mlir_quantize(converter.convert(), denylisted_nodes=list(keep))
    model: bytes = modify_model_io_type(quantised, tf.as_dtype(image), tf.as_dtype(outputs))
    return model
