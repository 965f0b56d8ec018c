"""A network that computes in another precision, with the same weights. Needs TensorFlow."""

from __future__ import annotations

from typing import Any

from converters.training import fused, state

_FLOAT32 = ("logits", "scores")  # the loss needs their bits


def working(model: Any, precision: str) -> Any:
    """The network that is trained: a copy that computes in ``precision``, by operations that are quick to
    learn with.

    Args:
        model: functional, in float32.
        precision: ``float32`` or ``bfloat16``; variables are float32 in either case.
    """
    config = fused.config(model.get_config())
    if precision != "float32":
        config = _with_policy(config, f"mixed_{precision}")
    copy = type(model).from_config(config, fused.LAYERS)
    carry(model, copy)
    return copy


def carry(source: Any, target: Any) -> None:
    """Give a network the weights of its twin."""
    if source is not target:
        given = list(source.weights)
        by_path = {weight.path: weight for weight in given}
        if set(by_path) == {weight.path for weight in target.weights}:
            given = [by_path[weight.path] for weight in target.weights]
        # Else a model within a model, whose paths its twin has not; the order is the same.
        state.assign(target.weights, state.values(given))


def _with_policy(value: Any, policy: str) -> Any:
    if isinstance(value, list | tuple):
        return [_with_policy(item, policy) for item in value]
    if not isinstance(value, dict) or _strided_depthwise(value):
        return value
    if value.get("class_name") == "DTypePolicy" and value.get("config", {}).get("name") == "float32":
        return {**value, "config": {"name": policy}}
    if value.get("class_name") != "InputLayer" and value.get("name") not in _FLOAT32:
        return {key: _with_policy(item, policy) for key, item in value.items()}
    return value


def _strided_depthwise(value: dict[str, Any]) -> bool:
    """Their gradient takes five times as long in bfloat16 (oneDNN 3.7, AMX) as in float32."""
    return value.get("class_name") == "DepthwiseConv2D" and set(value["config"]["strides"]) != {1}
