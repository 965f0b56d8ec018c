"""GStreamer for the pictures, the interpreter in its appsink's callback, as Coral's camera examples do it.

Debian has no element that runs TensorFlow Lite (no NNStreamer; GStreamer's own came with 1.26), so this is
what a pipeline there can be: decoded, scaled and converted by GStreamer's threads, one buffer that the
newest frame takes where the source is live. Lines as those of ``straight.py``. Needs python3-gi and the
good and bad plugins.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import numpy as np

sys.path.append("/usr/lib/python3/dist-packages")  # where Debian has PyGObject

import gi
from ai_edge_litert.interpreter import Interpreter
from straight import SIZE, number_of

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402

CAPS = f"video/x-raw,format=RGB,width={SIZE},height={SIZE},pixel-aspect-ratio=1/1"
LIVE = (
    "souphttpsrc location={source} is-live=true ! multipartdemux ! image/jpeg ! jpegdec"
    " ! queue leaky=downstream max-size-buffers=1 ! videoconvert ! videoscale add-borders=false ! {caps}"
    " ! appsink name=out sync=false max-buffers=1 drop=true emit-signals=true"
)
FILE = (
    "filesrc location={source} ! jpegparse ! jpegdec ! queue max-size-buffers=4 ! videoconvert"
    " ! videoscale add-borders=false ! {caps} ! appsink name=out sync=false max-buffers=1 emit-signals=true"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source")
    parser.add_argument("model")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    interpreter = Interpreter(model_path=options.model, num_threads=options.threads)
    interpreter.allocate_tensors()
    image, scores = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def look(sink: Any) -> Any:
        buffer = sink.emit("pull-sample").get_buffer()
        held, block = buffer.map(Gst.MapFlags.READ)
        if held:
            rgb = np.frombuffer(block.data, np.uint8)[: SIZE * SIZE * 3].reshape(SIZE, SIZE, 3)
            interpreter.set_tensor(image, rgb[None])
            number = number_of(rgb)
            buffer.unmap(block)
            interpreter.invoke()
            best = int(np.argmax(interpreter.get_tensor(scores)[0]))
            print(number, time.monotonic(), best, flush=True)
        return Gst.FlowReturn.OK

    Gst.init(None)
    words = LIVE if options.source.startswith("http") else FILE
    pipeline = Gst.parse_launch(words.format(source=options.source, caps=CAPS))
    pipeline.get_by_name("out").connect("new-sample", look)
    pipeline.set_state(Gst.State.PLAYING)
    ended = Gst.MessageType.EOS | Gst.MessageType.ERROR
    message = pipeline.get_bus().timed_pop_filtered(Gst.CLOCK_TIME_NONE, ended)
    pipeline.set_state(Gst.State.NULL)
    if message.type == Gst.MessageType.ERROR:
        sys.exit(str(message.parse_error()))


if __name__ == "__main__":
    main()
