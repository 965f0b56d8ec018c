"""A stand-in for Google's compiler: prints logs of its format and writes a file of one custom operator."""

from __future__ import annotations

import sys
from pathlib import Path

from edgecam.tflite import EDGETPU_OP
from tests.engines.writer import CUSTOM, FLOAT32, INT8, UINT8, Model, Op, T

TYPES = {"float32": FLOAT32, "uint8": UINT8, "int8": INT8}

HEAD = """Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.
"""

ALL_MAPPED = f"""{HEAD}
Model compiled successfully in 412 ms.

Input model: model.tflite
Input size: 300.50KiB
Output model: model_edgetpu.tflite
Output size: 420.25KiB
On-chip memory used for caching model parameters: 512.00KiB
On-chip memory remaining for caching model parameters: 7.19MiB
Off-chip memory used for streaming uncached model parameters: 0.00B
Number of Edge TPU subgraphs: 1
Total number of operations: 30
Operation log: model_edgetpu.log
See the operation log file for individual operation details.

Operator                       Count      Status

CONV_2D                        14         Mapped to Edge TPU
DEPTHWISE_CONV_2D              13         Mapped to Edge TPU
RESHAPE                        1          Mapped to Edge TPU
FULLY_CONNECTED                1          Mapped to Edge TPU
SOFTMAX                        1          Mapped to Edge TPU
Compilation child process completed within timeout period.
Compilation succeeded!
"""

PARTLY_MAPPED = f"""{HEAD}
Model compiled successfully in 1876 ms.

Input model: model.tflite
Input size: 9.50MiB
Output model: model_edgetpu.tflite
Output size: 11.25MiB
On-chip memory used for caching model parameters: 6.50MiB
On-chip memory remaining for caching model parameters: 12.75KiB
Off-chip memory used for streaming uncached model parameters: 2.25MiB
Number of Edge TPU subgraphs: 1
Total number of operations: 40
Operation log: model_edgetpu.log

Model successfully compiled but not all operations are supported by the Edge TPU. A percentage of the model will
instead run on the CPU, which is slower.
Number of operations that will run on Edge TPU: 34
Number of operations that will run on CPU: 6

Operator                       Count      Status

CONV_2D                        33         Mapped to Edge TPU
CONV_2D                        2          More than one subgraph is not supported
QUANTIZE                       1          Mapped to Edge TPU
QUANTIZE                       1          Operation is otherwise supported, but not mapped due to some unspecified limitation
DEQUANTIZE                     1          Operation is working on an unsupported data type
HARD_SWISH                     1          Operation not supported
TFLite_Detection_PostProcess   1          Operation is working on an unsupported data type
Compilation child process completed within timeout period.
Compilation succeeded!
"""  # noqa: E501 - as it prints it

REFUSED = f"""{HEAD}
Invalid model: model.tflite
Model not quantized
"""


def compiled(source: bytes) -> bytes:
    """What takes the place of a model: the same inputs and outputs around one operator."""
    from edgecam import tflite

    found = tflite.parse(source)
    tensors = [
        T(tensor.name, tensor.shape, TYPES[tensor.dtype], (tensor.scale or 1.0, tensor.zero_point))
        for tensor in (*found.inputs, *found.outputs)
    ]
    first = len(found.inputs)
    outputs = tuple(range(first, len(tensors)))
    op = Op(CUSTOM, tuple(range(first)), outputs, custom=EDGETPU_OP)
    return Model(tensors, list(range(first)), list(outputs), [op]).write()


def install(folder: Path, log: str, *, code: int = 0, writes: bool = True, before: str = "") -> Path:
    """An executable that prints ``log`` and does as the compiler does.

    Args:
        code: its exit code.
        writes: whether it writes the compiled file.
        before: Python that it runs first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "edgetpu_compiler"
    root = Path(__file__).resolve().parents[2]
    path.write_text(
        f"""#!{sys.executable}
import sys
from pathlib import Path
sys.path.insert(0, {str(root)!r})
{before}
arguments = sys.argv[1:]
source, target = Path(arguments[-1]), Path(arguments[arguments.index("--out_dir") + 1])
assert "--show_operations" in arguments
if {writes}:
    from tests.helpers.edgetpu_compiler import compiled
    (target / (source.stem + "_edgetpu.tflite")).write_bytes(compiled(source.read_bytes()))
print({log!r})
sys.exit({code})
"""
    )
    path.chmod(0o755)
    return path
