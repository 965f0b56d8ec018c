"""How networks want their pictures."""

from __future__ import annotations

import pytest

from converters import conventions
from edgecam.errors import UsageError


@pytest.mark.parametrize(
    ("name", "color", "black", "white"),
    [
        ("mobilenet_v2", "rgb", (-1, -1, -1), (1, 1, 1)),
        ("-1..1", "rgb", (-1, -1, -1), (1, 1, 1)),
        ("0..1", "rgb", (0, 0, 0), (1, 1, 1)),
        ("efficientnet", "rgb", (0, 0, 0), (255, 255, 255)),
        ("resnet", "bgr", (-103.939, -116.779, -123.68), (151.061, 138.221, 131.32)),
        ("densenet", "rgb", (-2.118, -2.036, -1.804), (2.249, 2.429, 2.64)),
        ("127.5,127.5", "rgb", (-1, -1, -1), (1, 1, 1)),
        ("bgr:1,2,3,1,2,4", "bgr", (-1, -1, -0.75), (254, 126.5, 63)),
    ],
)
def test_black_and_white(name: str, color: str, black: tuple[float, ...], white: tuple[float, ...]) -> None:
    found = conventions.parse(name)
    assert (found.name, found.color) == (name, color)
    for pixel, real in ((0, black), (255, white)):
        values = [(pixel - found.mean[i % len(found.mean)]) / found.std[i % len(found.std)] for i in range(3)]
        assert values == pytest.approx(real, abs=1e-3)


@pytest.mark.parametrize("text", ["mobilnet_v2", "1", "1,2,3", "0,0", "gbr:0,1", "a,b", "", "0,-1"])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="one of"):
        conventions.parse(text)
    if text == "mobilnet_v2":
        with pytest.raises(UsageError, match="did you mean 'mobilenet_v2'"):
            conventions.parse(text)


def test_gray_models() -> None:
    assert conventions.SIGNED.for_channels(1).color == "gray"
    assert conventions.SIGNED.for_channels(3) is conventions.SIGNED
    with pytest.raises(UsageError, match="gray pictures"):
        conventions.TORCH.for_channels(1)


@pytest.mark.parametrize(
    ("name", "network"),
    [
        ("mobilenetv2_1.00_160", "mobilenet_v2"),
        ("mobilenet_1.00_224", "mobilenet"),
        ("MobileNetV3Small", "mobilenet_v3"),
        ("resnet50", "resnet50"),
        ("resnet50v2", "resnet_v2"),
        ("densenet121", "densenet"),
        ("efficientnetb0", "efficientnet"),
        ("efficientnetv2-b0", "efficientnet_v2"),
        ("NASNet", "nasnet"),
        ("convnext_tiny", "convnext"),
        ("inception_v3", "inception_v3"),
        ("xception", "xception"),
    ],
)
def test_networks_by_the_names_that_keras_gives_them(name: str, network: str) -> None:
    found = conventions.of_networks(["functional", name])
    assert found is not None
    assert found.name == network
    assert found.mean == conventions.NETWORKS[network].mean


def test_other_names_tell_nothing() -> None:
    assert conventions.of_networks(["functional", "sequential_3", "my_mobilenet"]) is None
