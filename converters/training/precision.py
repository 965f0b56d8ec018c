"""A network that computes in another precision, with the same weights. Needs TensorFlow."""

from __future__ import annotations

from typing import Any

from converters.training import state

_FLOAT32 = ("logits", "scores")  # the loss needs their bits


def working(model: Any, precision: str) -> Any:
    """The network that is trained: the model itself, or a copy that computes in ``precision``.

    Args:
        model: functional, in float32.
        precision: ``float32`` or ``bfloat16``; variables are float32 in either case.
    """
    if precision == "float32":
        return model
    config = _with_policy(model.get_config(), f"mixed_{precision}")
    copy = type(model).from_config(config)
    carry(model, copy)
    return copy


def carry(source: Any, target: Any) -> None:
    """Give a network the weights of its twin."""
    if source is not target:
        values = {weight.path: weight for weight in source.weights}
        state.assign(target.weights, state.values([values[weight.path] for weight in target.weights]))


def _with_policy(value: Any, policy: str) -> Any:
    if isinstance(value, list | tuple):
        return [_with_policy(item, policy) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("class_name") == "DTypePolicy" and value.get("config", {}).get("name") == "float32":
        return {**value, "config": {"name": policy}}
    if value.get("class_name") != "InputLayer" and value.get("name") not in _FLOAT32:
        return {key: _with_policy(item, policy) for key, item in value.items()}
    return value
