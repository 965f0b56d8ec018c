"""MediaPipe Tasks in video mode, as its examples use it. Lines as those of ``straight.py``."""

from __future__ import annotations

import argparse
import time

import cv2
import mediapipe as mp
from mediapipe.tasks.python import vision
from mediapipe.tasks.python.core.base_options import BaseOptions
from straight import number_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source")
    parser.add_argument("model")
    options = parser.parse_args()
    settings = vision.ImageClassifierOptions(
        base_options=BaseOptions(model_asset_path=options.model),
        running_mode=vision.RunningMode.VIDEO,
        max_results=1,
    )
    with vision.ImageClassifier.create_from_options(settings) as classifier:
        capture = cv2.VideoCapture(options.source)
        began = time.monotonic()
        last = -1
        while True:
            done, bgr = capture.read()
            if not done:
                break
            rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
            last = max(last + 1, int((time.monotonic() - began) * 1000))
            found = classifier.classify_for_video(mp.Image(image_format=mp.ImageFormat.SRGB, data=rgb), last)
            print(number_of(bgr), time.monotonic(), found.classifications[0].categories[0].index, flush=True)


if __name__ == "__main__":
    main()
