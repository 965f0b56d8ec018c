"""Image classification: one score a class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgecam.contract import ModelSpec
from edgecam.errors import ContractError
from edgecam.heads.options import choice, integer, limits
from edgecam.heads.scores import refuse_scale, refuse_values, sigmoid, softmax
from edgecam.heads.support import check_labels, only_output
from edgecam.quant import dequantize
from edgecam.types import Array, Classification, Geometry, HeadOptions, TensorInfo


class ClassifyHead:
    """Scores of shape (1, K), or (1, 1, 1, K), to the best classes.

    Role of the output: ``scores`` (not needed where there is only one).

    Options of the contract:
        activation: what is still to be done to the output: ``none`` (default: the model ends in its own
            softmax or sigmoid), ``softmax`` or ``sigmoid`` (the model gives logits).
        label_offset: class id minus output index (default 0): -1 where the model has a background output in
            front of the labelled ones. An output whose class id would be negative is never reported.
        threshold: default 0.05.
        top_k: default 3.

    Nobody has to trust ``none``: an output whose type is made for more than probabilities, or that holds
    something else on any frame, is refused with the remedy.
    """

    def __init__(
        self,
        spec: ModelSpec,
        input: TensorInfo,
        outputs: Sequence[TensorInfo],
        options: HeadOptions,
    ) -> None:
        self._spec = spec
        self._limits = limits(spec, options, threshold=0.05, top_k=3)
        self.threshold = self._limits.shown
        self._activation = choice(spec.options, "activation", ("none", "softmax", "sigmoid"), "none")
        self._offset = integer(spec.options, "label_offset", 0)
        self._index = only_output(spec, outputs, "scores")
        self._info = outputs[self._index]
        shape = self._info.shape
        if len(shape) < 2 or max(shape[:-1]) != 1 or shape[-1] < 1:
            raise ContractError(
                f"{spec.name}: scores output {self._info.name!r} has shape {list(shape)}, expected [1, K]",
                "name the right output in the contract's outputs",
            )
        check_labels(spec, shape[-1] + self._offset)
        if self._activation == "none":
            refuse_scale(spec, self._info)

    def decode(self, arrays: Sequence[Array], geometry: Geometry) -> Classification:
        """Errors: ContractError where the output proves not to hold probabilities."""
        values = dequantize(arrays[self._index].reshape(-1), self._info)
        if self._activation == "none":
            refuse_values(self._spec, self._info, values)
            score = values
        else:
            score = softmax(values) if self._activation == "softmax" else sigmoid(values)
        ids = np.arange(self._offset, self._offset + len(score), dtype=np.int32)
        reported = (score >= np.float32(self._limits.threshold)) & (ids >= 0)
        if self._limits.classes is not None:
            reported &= np.isin(ids, self._limits.classes)
        index = np.flatnonzero(reported)
        index = index[np.argsort(-score[index], kind="stable")[: self._limits.top_k]]
        return Classification(np.clip(score[index], 0, 1), ids[index])
