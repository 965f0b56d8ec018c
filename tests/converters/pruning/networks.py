"""What the tests of pruning share: networks with random statistics, and channels that say nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from converters import layergraph
from converters.pruning.channels import Channels, trace
from edgecam.types import Array


def shaken(model: Any, seed: int = 0) -> Any:
    """The model, its batch normalisation as after a training."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        if variable.name in ("gamma", "moving_variance", "variance"):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
        elif variable.name in ("beta", "moving_mean", "mean", "bias"):
            variable.assign(rng.normal(0, 0.2, variable.shape))
        elif variable.name == "alpha":
            variable.assign(rng.uniform(0, 0.4, variable.shape))
    return model


def traced(model: Any) -> Channels:
    return trace(layergraph.read(model))


def silence(channels: Channels, dead: Array) -> None:
    """Set to zero all that makes the dead channels: filters, biases, batch normalisation."""
    for node in channels.graph.nodes:
        layer = node.operation
        gone = dead[channels.of(node.index)]
        for variable in getattr(layer, "weights", ()):
            if variable.name == "kernel" and node.kind == "DepthwiseConv2D":
                value = np.array(variable.numpy())
                value[:, :, dead[channels.source(node)]] = 0
            elif variable.name == "kernel" and node.kind == "Conv2DTranspose":
                value = np.array(variable.numpy())
                value[:, :, gone] = 0
            elif variable.name in ("kernel", "pointwise_kernel", "bias", "gamma", "beta"):
                value = np.array(variable.numpy())
                value[..., gone] = 0
            else:
                continue
            variable.assign(value)


def some_dead(channels: Channels, share: float, seed: int = 1) -> Array:
    """A share of the groups that may leave, at random; no layer is emptied."""
    rng = np.random.default_rng(seed)
    dead: Array = (rng.random(len(channels.fixed)) < share) & ~channels.fixed
    for node in channels.makers:
        groups = channels.of(node.index)
        if dead[groups].all():
            dead[groups[0]] = False
    return dead


def pictures(model: Any, count: int = 2, seed: int = 3) -> Array:
    shape = model.inputs[0].shape[1:]
    return np.random.default_rng(seed).uniform(0, 255, (count, *shape)).astype(np.float32)
