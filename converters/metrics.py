"""Figures of a classifier from its scores: plain functions of arrays.

Everywhere N pictures, K classes; a class id is a row of the label list. Figures are fractions of 1, not per
cent. What cannot be computed (the recall of a class that no picture shows) is NaN.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from edgecam.types import Array

Real = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


def ranks(scores: Array, truth: Array) -> Counts:
    """Place of the right class in each picture's order, from 0; int64 (N,).

    Of equal scores the lower class id comes first, as in the decoder: 0 is what the device would report.

    Args:
        scores: (N, K).
        truth: class ids (N,), each below K.
    """
    scores, truth = np.asarray(scores), np.asarray(truth, np.intp)
    own = scores[np.arange(len(scores)), truth][:, None]
    earlier = np.arange(scores.shape[1]) < truth[:, None]
    return np.asarray(((scores > own) | ((scores == own) & earlier)).sum(1), np.int64)


def top(scores: Array, truth: Array, k: int = 1) -> float:
    """Fraction of pictures whose right class is among the ``k`` best; NaN without pictures."""
    return _mean(ranks(scores, truth) < k)


def confusion(truth: Array, said: Array, classes: int) -> Counts:
    """How often a class (row) was taken for another (column); int64 (K, K).

    Args:
        truth: class ids (N,).
        said: class ids (N,).
        classes: K.
    """
    pairs = np.asarray(truth, np.int64) * classes + np.asarray(said, np.int64)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes).astype(np.int64)


def recall(matrix: Counts) -> Real:
    """Fraction of each class's pictures that was recognised, (K,); NaN where there is none.

    Args:
        matrix: of :func:`confusion`.
    """
    return _ratio(matrix.diagonal(), matrix.sum(1))


def precision(matrix: Counts) -> Real:
    """Fraction of what was taken for a class that is of it, (K,); NaN where nothing was.

    Args:
        matrix: of :func:`confusion`.
    """
    return _ratio(matrix.diagonal(), matrix.sum(0))


def agreement(a: Array, b: Array) -> float:
    """Fraction of pictures of which two models say the same, right or wrong.

    Args:
        a: class ids (N,).
        b: class ids (N,).
    """
    return _mean(np.asarray(a) == np.asarray(b))


def calibration_error(confidence: Array, right: Array, bins: int = 15) -> float:
    """Expected calibration error: by how much the confidence misses the accuracy, weighted by pictures.

    Bins of equal width over (lowest, highest], as in Guo et al., "On Calibration of Modern Neural Networks",
    2017, equation 3 (15 bins there); the measure is Naeini et al., 2015.

    Args:
        confidence: the best score of each picture, 0 to 1, (N,).
        right: whether it was right, (N,).
        bins: how many.
    """
    confidence, right = np.asarray(confidence, np.float64), np.asarray(right, np.float64)
    if not len(right):
        return math.nan
    number = np.clip(np.ceil(confidence * bins) - 1, 0, bins - 1).astype(np.intp)
    gap = np.bincount(number, confidence - right, bins)
    return float(np.abs(gap).sum() / len(right))


def reliability(confidence: Array, right: Array, bins: int = 10) -> list[tuple[int, float, float]]:
    """Pictures, mean confidence and accuracy in each bin of confidence (see :func:`calibration_error`)."""
    confidence, right = np.asarray(confidence, np.float64), np.asarray(right, bool)
    number = np.clip(np.ceil(confidence * bins) - 1, 0, bins - 1).astype(np.intp)
    rows = []
    for n in range(bins):
        inside = number == n
        rows.append((int(inside.sum()), _mean(confidence[inside]), _mean(right[inside])))
    return rows


def sign_test(worse: int, better: int) -> float:
    """How likely chance alone makes so uneven a difference between two models on the same pictures.

    The exact form of McNemar's test, two-sided: of the pictures that only one model gets right, each is a
    toss of a fair coin if the models are equally good. (McNemar, "Note on the sampling error of the
    difference between correlated proportions or percentages", 1947.)

    Args:
        worse: pictures that only the first model gets right.
        better: pictures that only the second one does.

    Returns:
        0 to 1; 1.0 where they never differ.
    """
    tosses, extreme = worse + better, max(worse, better)
    tail = sum(math.comb(tosses, n) for n in range(extreme, tosses + 1))
    return min(1.0, 2 * tail / (1 << tosses))


def sqnr(reference: Array, other: Array) -> float:
    """Signal to quantisation noise in decibels: ``10 log10(sum(reference^2) / sum((reference - other)^2))``.

    Infinite where both are equal; 0 dB is noise as strong as the signal. NaN for a silent reference.
    """
    return decibels(*energies(reference, other))


def energies(reference: Array, other: Array) -> tuple[float, float]:
    """Energy of the signal and of the noise; both add up over pictures."""
    signal = np.asarray(reference, np.float64).ravel()
    noise = signal - np.asarray(other, np.float64).ravel()
    return float(signal @ signal), float(noise @ noise)


def decibels(signal: float, noise: float) -> float:
    """The ratio of two energies in decibels; see :func:`sqnr`."""
    if not signal:
        return math.nan
    return 10 * math.log10(signal / noise) if noise else math.inf


def _mean(values: Array) -> float:
    return float(np.mean(values)) if len(values) else math.nan


def _ratio(part: Counts, whole: Counts) -> Real:
    out = np.full(len(whole), math.nan)
    np.divide(part, whole, out=out, where=whole > 0)
    return out
