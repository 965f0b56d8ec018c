"""How to train, as data: the knobs of a recipe's step, with their checks. Quick to import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from converters.steps.base import Option
from edgecam.errors import UsageError

OPTIMIZERS = ("adamw", "sgd")
SCHEDULES = ("cosine", "triangular", "constant")
BALANCES = ("none", "sample", "weights")
KEPT = ("last", "best")
PRECISIONS = ("float32", "bfloat16", "auto")


@dataclass(frozen=True)
class Plan:
    """How to train.

    Attributes:
        epochs: how often every picture is shown.
        batch: pictures a step.
        optimizer: ``adamw``, or ``sgd`` with Nesterov momentum.
        rate: highest learning rate.
        momentum: of ``sgd``.
        schedule: how the rate falls after the warm-up: ``cosine`` or ``triangular`` to ``rate_end``, or
            ``constant``.
        warmup: share of all steps in which the rate rises, linearly.
        rate_start, rate_end: share of ``rate`` at the start and at the end.
        weight_decay: share of a kernel that each step takes off, times the rate; biases and batch
            normalisation are spared.
        smoothing: of the labels, 0 to less than 1.
        ema: momentum of the moving average of the weights, which is what is judged and kept; 0 for none.
        clip: largest norm of all gradients together, 0 for any.
        balance: ``sample`` shows every class equally often; ``weights`` weighs the loss by how rare a class
            is.
        head_epochs: epochs in front in which only the layers that begin with random weights learn.
        head_rate: highest learning rate of those.
        frozen: names of layers that never learn; ``*`` stands for anything.
        patience: epochs without a better score after which it ends, 0 for never.
        keep: ``last`` or ``best`` weights by the score on validation pictures.
        seed: of everything that is random.
        precision: ``bfloat16`` computes in 16 bits and keeps weights in 32: twice as fast on processors that
            have instructions for it, many times slower on others; ``auto`` takes it only on the former, see
            :mod:`converters.training.processor`.
        threads: 0 for all cores.
        cache_mb: decoded pictures up to this size stay in memory, otherwise they are decoded anew.
        flip: mirror half of the pictures, in the next epoch the other half.
        rotate: largest rotation, degrees.
        shift: largest shift, as a share of the side; the edge is mirrored.
        zoom: largest change of size, as a share.
        brightness, contrast, saturation: largest change, 0 to 1.
        cutout: side of the square that is blanked, as a share of the picture's.
        mixup: two pictures are blended by a share from Beta(mixup, mixup); 0 for none.
    """

    epochs: int = 20
    batch: int = 128
    optimizer: str = "adamw"
    rate: float = 0.002
    momentum: float = 0.9
    schedule: str = "cosine"
    warmup: float = 0.1
    rate_start: float = 0.0
    rate_end: float = 0.0
    weight_decay: float = 0.01
    smoothing: float = 0.0
    ema: float = 0.0
    clip: float = 0.0
    balance: str = "none"
    head_epochs: int = 0
    head_rate: float = 0.001
    frozen: tuple[str, ...] = ()
    patience: int = 0
    keep: str = "last"
    seed: int = 0
    precision: str = "float32"
    threads: int = 0
    cache_mb: int = 1024
    flip: bool = True
    rotate: float = 0.0
    shift: float = 0.1
    zoom: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    cutout: float = 0.0
    mixup: float = 0.0

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Plan:
        """Of a step's options, checked.

        Raises:
            UsageError: a value makes no sense.
        """
        kept = {entry.name: options[entry.name] for entry in fields(cls) if entry.name in options}
        kept["frozen"] = tuple(kept.get("frozen", ()))
        plan = cls(**kept)
        plan.check()
        return plan

    def check(self) -> None:
        """
        Raises:
            UsageError: a value makes no sense.
        """
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise UsageError(f"{name} = {value:g}", f"give a value from {low:g} to {high:g}")


_HUGE = 10**6
_RANGES: dict[str, tuple[float, float]] = {
    "epochs": (1, _HUGE),
    "batch": (1, 65536),
    "rate": (1e-9, 100),
    "momentum": (0, 0.9999),
    "warmup": (0, 1),
    "rate_start": (0, 1),
    "rate_end": (0, 1),
    "weight_decay": (0, 1),
    "smoothing": (0, 0.99),
    "ema": (0, 0.99999),
    "clip": (0, _HUGE),
    "head_epochs": (0, _HUGE),
    "head_rate": (1e-9, 100),
    "patience": (0, _HUGE),
    "threads": (0, 1024),
    "cache_mb": (0, 10**9),
    "rotate": (0, 180),
    "shift": (0, 0.9),
    "zoom": (0, 0.9),
    "brightness": (0, 1),
    "contrast": (0, 1),
    "saturation": (0, 1),
    "cutout": (0, 0.9),
    "mixup": (0, 10),
}

_HELP = {
    "epochs": ("How often every picture is shown.", ()),
    "batch": ("Pictures a step.", ()),
    "optimizer": ("adamw, or sgd with Nesterov momentum.", OPTIMIZERS),
    "rate": ("Highest learning rate.", ()),
    "momentum": ("Of sgd.", ()),
    "schedule": ("How the learning rate falls after the warm-up.", SCHEDULES),
    "warmup": ("Share of the steps in which the learning rate rises.", ()),
    "rate_start": ("Share of the learning rate at the start.", ()),
    "rate_end": ("Share of the learning rate at the end.", ()),
    "weight_decay": ("Decoupled weight decay.", ()),
    "smoothing": ("Of the labels.", ()),
    "ema": ("Momentum of the moving average of the weights; 0 for none.", ()),
    "clip": ("Largest norm of the gradients; 0 for any.", ()),
    "balance": ("Rare classes are shown more often (sample) or weigh more (weights).", BALANCES),
    "head_epochs": ("Epochs in front in which only new layers learn.", ()),
    "head_rate": ("Highest learning rate of those.", ()),
    "patience": ("Epochs without a better score before it ends; 0 for never.", ()),
    "keep": ("Weights to keep: of the last epoch, or of the best on validation pictures.", KEPT),
    "seed": ("Of everything that is random.", ()),
    "precision": ("Of the computation; auto is bfloat16 where the processor knows it.", PRECISIONS),
    "threads": ("Of the processor; 0 for all.", ()),
    "cache_mb": ("Decoded pictures up to this size stay in memory.", ()),
    "flip": ("Mirror half of the pictures.", ()),
    "rotate": ("Largest rotation in degrees.", ()),
    "shift": ("Largest shift, as a share of the side.", ()),
    "zoom": ("Largest change of size, as a share.", ()),
    "brightness": ("Largest change, 0 to 1.", ()),
    "contrast": ("Largest change, 0 to 1.", ()),
    "saturation": ("Largest change, 0 to 1.", ()),
    "cutout": ("Side of a square that is blanked, as a share.", ()),
    "mixup": ("Blend pictures by shares from Beta(x, x); 0 for none.", ()),
}

#: the plan as options of a step
OPTIONS: tuple[Option, ...] = (
    *(
        Option(name, type(getattr(Plan, name)), getattr(Plan, name), help_, choices=choices)
        for name, (help_, choices) in _HELP.items()
    ),
    Option("frozen", str, (), "Layers that never learn, by name; * stands for anything.", many=True),
)
