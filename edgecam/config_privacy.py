"""The settings of what must not be seen, a part of :class:`edgecam.config.Settings`."""

from __future__ import annotations

from dataclasses import dataclass

from edgecam.options import Many, Number, Switch, Text, setting
from edgecam.privacy.mask import STYLES, Masks

PRIVACY = "Privacy"


@dataclass(frozen=True)
class PrivacySettings:
    """See ``docs/privacy.md``."""

    mask: tuple[str, ...] = setting(
        (),
        Masks(),
        PRIVACY,
        "A part of the picture that nobody may see, in parts of its width and height; [[mask]] in the file",
        "'X,Y X,Y X,Y [fill=pixelate] [model=yes]'",
        example="name=door 0.1,0.2 0.5,0.2 0.5,0.6",
    )
    blur: tuple[str, ...] = setting(
        (),
        Many(",", "faces and labels"),
        PRIVACY,
        "Cover faces, or what the model calls so, in every picture that leaves",
        "faces|LABEL",
        example="faces,person",
    )
    blur_style: str = setting(
        "solid",
        Text(choices=STYLES),
        PRIVACY,
        "How they are covered: in one colour, or in squares so coarse that nobody is known",
        "|".join(STYLES),
    )
    blur_margin: float = setting(
        0.3, Number(float, 0, 5), PRIVACY, "What is covered around a box, in parts of its size", "PART"
    )
    blur_hold: float = setting(
        1.0, Number(float, 0, 60), PRIVACY, "Seconds a box stays covered after it was last seen", "SECONDS"
    )
    privacy_switch: bool = setting(
        False,
        Switch(),
        PRIVACY,
        "Let who may switch this device (MQTT, Home Assistant) uncover everything; without it nobody can",
    )
    face_model: str = setting(
        "face",
        Text("a model's name or file", path=True),
        PRIVACY,
        "The model that finds faces; edgecam model list shows the names",
        "MODEL",
    )
