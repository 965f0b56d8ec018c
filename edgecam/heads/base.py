"""What every head does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from edgecam.contract import ModelSpec
from edgecam.types import Array, Geometry, HeadOptions, Result, TensorInfo


class Head(Protocol):
    """Turns a model's raw outputs into a result. Knows arrays and the contract, never an interpreter.

    Attributes:
        threshold: least score to be shown; ``HeadOptions.weak`` asks for weaker results too.
    """

    threshold: float

    def __init__(
        self,
        spec: ModelSpec,
        input: TensorInfo,
        outputs: Sequence[TensorInfo],
        options: HeadOptions,
    ) -> None:
        """
        Raises:
            ContractError: an output role is missing or a shape contradicts the contract.
            UnknownNameError: ``options.classes`` names a label the model has not.
        """

    def decode(self, arrays: Sequence[Array], geometry: Geometry) -> Result:
        """
        Args:
            arrays: raw outputs, in the order and dtypes of ``outputs``, still quantised.
            geometry: how the frame was laid into the input.
        """
