"""Makes small Keras models of every kind that the tests need: ``python models_for_tests.py FOLDER``.

Runs in a process of its own, so that TensorFlow is not in that of the tests. The classifier tells red, green
and blue pictures apart and is trained on pixels from -1 to 1.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

SIDE = 24
NAMES = ("blue", "green", "red")
CUSTOM = """
import keras

@keras.saving.register_keras_serializable("mine")
class Swirl(keras.layers.Layer):
    def call(self, x):
        return x * 2
"""


def picture(rng: np.random.Generator, class_id: int) -> np.ndarray:
    """A noisy picture in which one colour is stronger."""
    pixels = rng.integers(0, 200, (SIDE // 4, SIDE // 4, 3)).repeat(4, 0).repeat(4, 1)
    pixels[..., 2 - class_id] = np.minimum(pixels[..., 2 - class_id] + 90, 255)
    return pixels.astype(np.uint8)


def write_pictures(folder: Path, count: int = 24) -> None:
    """A folder for each class."""
    from PIL import Image as pil

    rng = np.random.default_rng(5)
    for class_id, name in enumerate(NAMES):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pil.fromarray(picture(rng, class_id)).save(folder / name / f"{number}.png")


def trained(keras: Any) -> Any:
    """The classifier."""
    rng = np.random.default_rng(6)
    truth = rng.integers(0, 3, 600)
    pictures = np.stack([picture(rng, class_id) for class_id in truth]) / 127.5 - 1
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            layers.Conv2D(8, 3, strides=2, use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(6.0),
            layers.DepthwiseConv2D(3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax"),
        ],
        name="colours",
    )
    model.compile(optimizer=keras.optimizers.Adam(0.02), loss="sparse_categorical_crossentropy")
    model.fit(pictures, truth, epochs=12, verbose=0)
    return model


def main(folder: Path) -> None:
    from converters.quiet import quiet

    with quiet():
        import keras

        keras.utils.set_random_seed(1)
        layers = keras.layers
        model = trained(keras)
        model.save(folder / "colours.keras")
        model.save(folder / "colours.h5")
        model.export(folder / "saved")
        write_tfjs(model, folder / "tfjs")
        save(keras, folder / "logits.keras", model.layers[:-1], head(keras, model, "linear"))
        pixels = [layers.Rescaling(1 / 127.5, offset=-1)]
        save(keras, folder / "scaling.keras", [*pixels, *model.layers[:-1]], model.layers[-1])
        dense = layers.Dense(1, activation="sigmoid")
        save(keras, folder / "binary.keras", model.layers[:-1], dense)
        free = keras.Input((None, None, 3))
        keras.Model(free, layers.GlobalAveragePooling2D()(layers.Conv2D(3, 3)(free))).save(
            folder / "free.keras"
        )
        one, two = keras.Input((SIDE, SIDE, 3), name="left"), keras.Input((SIDE, SIDE, 3), name="right")
        flat = layers.GlobalAveragePooling2D()
        keras.Model([one, two], flat(layers.Add()([one, two]))).save(folder / "two.keras")
        broken = keras.models.clone_model(model)
        broken.set_weights(
            [np.full_like(w, np.nan) if n == 0 else w for n, w in enumerate(model.get_weights())]
        )
        broken.save(folder / "nan.keras")
        save(keras, folder / "lambda.keras", [layers.Lambda(lambda x: x + 1)], flat)
        scope: dict[str, Any] = {}
        (folder / "mine.py").write_text(CUSTOM)
        exec(CUSTOM, scope)
        save(keras, folder / "custom.keras", [scope["Swirl"](), *model.layers[:-1]], model.layers[-1])
        image = keras.Input((SIDE, SIDE, 3))
        body = keras.Sequential(model.layers[:-1])(keras.ops.sin(image) + image)
        keras.Model(image, head(keras, model, "softmax")(body)).save(folder / "sine.keras")
        flex = keras.Input((SIDE, SIDE, 3))
        keras.Model(flex, flat(keras.ops.erfinv(flex * 0.1))).save(folder / "flex.keras")


def write_tfjs(model: Any, folder: Path) -> None:
    """The model as a tfjs graph model, as the tfjs-converter lays it out."""
    import tensorflow as tf
    from google.protobuf import json_format
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    function = tf.function(lambda image: model(image, training=False))
    frozen = convert_variables_to_constants_v2(
        function.get_concrete_function(tf.TensorSpec([1, SIDE, SIDE, 3], tf.float32, name="image"))
    )
    graph, entries, data = frozen.graph.as_graph_def(), [], b""
    for node in graph.node:
        if node.op == "Const":
            value = tf.make_ndarray(node.attr["value"].tensor)
            entries.append({"name": node.name, "shape": list(value.shape), "dtype": value.dtype.name})
            data += value.tobytes()
            node.attr["value"].tensor.ClearField("tensor_content")
    topology = json_format.MessageToDict(graph)
    folder.mkdir()
    (folder / "shard1").write_bytes(data)
    manifest = [{"paths": ["shard1"], "weights": entries}]
    content = {"format": "graph-model", "modelTopology": topology, "weightsManifest": manifest}
    (folder / "model.json").write_text(json.dumps(content))


def head(keras: Any, model: Any, activation: str) -> Any:
    """The last layer with another activation."""
    layer = keras.layers.Dense(3, activation=activation)
    layer.build((None, 8))
    layer.set_weights(model.layers[-1].get_weights())
    return layer


def save(keras: Any, path: Path, body: list[Any], last: Any) -> None:
    x = start = keras.Input((SIDE, SIDE, 3))
    for layer in [*body, last]:
        x = layer(x)
    keras.Model(start, x).save(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
