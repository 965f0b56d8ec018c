"""What one picture becomes on this processor, as JSON: run on both machines, by test_aarch64.py.

python parity.py PICTURE MODEL...
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np

from edgecam import build
from edgecam.config import Settings
from edgecam.preprocess import Preprocessor
from edgecam.sources.images import load_picture


def main(picture: str, models: list[str]) -> None:
    pixels = load_picture(Path(picture))
    found = {"pixels": digest(pixels)}
    for name in models:
        model = build.load_model(Settings(model=name))
        tensor, _ = Preprocessor(model.spec, model.engine.input).from_image(pixels)
        found[f"{name}: input"] = base64.b64encode(zlib.compress(tensor.tobytes())).decode()
        # An input that is the same everywhere: this way of making it small is exact by definition.
        _, height, width, _ = tensor.shape
        same = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR_EXACT)[None]
        outputs = model.engine.infer(same.astype(tensor.dtype))
        found[f"{name}: outputs"] = " ".join(digest(array) for array in outputs)
        model.engine.close()
    print(json.dumps(found))


def digest(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
