"""Where objects will be: a Kalman filter of constant velocity for all of them at once.

The model of BoT-SORT (Aharon et al., 2022, arXiv:2206.14651), itself that of SORT and DeepSORT: centre,
width, height and their velocities; what is uncertain grows with the object's size. There a step is a frame;
here it is time, with the same noise at 30 frames a second.

Its matrices are diagonal but for the tie between a value and its velocity, so four filters of two states, all
rows and values at once, do what eight states with 8 x 8 matrices would.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Columns: TypeAlias = npt.NDArray[np.float64]

_RATE = 30.0  # frames a second for which the factors below were found
_POSITION = 1 / 20  # standard deviations in parts of width and height
_VELOCITY = 1 / 160 * _RATE
_LEAST = 1e-3  # the smallest size, in picture heights


@dataclass(slots=True)
class Motion:
    """Columns of N objects; lengths in heights of the picture.

    Attributes:
        place: float64 (N, 4), centre x, centre y, width, height.
        speed: float64 (N, 4), their change a second.
        p00, p01, p11: float64 (N, 4), the covariance of place and speed.
    """

    place: Columns
    speed: Columns
    p00: Columns
    p01: Columns
    p11: Columns

    @classmethod
    def begin(cls, place: Columns) -> Motion:
        """Objects seen for the first time at ``place``, float64 (N, 4)."""
        size = _size(place)
        zero = np.zeros_like(place)
        return cls(place, zero, (2 * _POSITION * size) ** 2, zero.copy(), (10 * _VELOCITY * size) ** 2)

    def __len__(self) -> int:
        return len(self.place)

    def take(self, index: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Motion:
        return Motion(*(getattr(self, f.name)[index] for f in fields(self)))

    def join(self, other: Motion) -> Motion:
        return Motion(
            *(np.concatenate((getattr(self, f.name), getattr(other, f.name))) for f in fields(self))
        )

    def predict(self, seconds: float, unseen: npt.NDArray[np.bool_]) -> None:
        """Go on by so many seconds; the ``unseen``, bool (N,), keep their size."""
        self.speed[unseen, 2:] = 0
        size, frames = _size(self.place), seconds * _RATE
        self.place += self.speed * seconds
        np.maximum(self.place[:, 2:], _LEAST, out=self.place[:, 2:])
        self.p00 += 2 * seconds * self.p01 + seconds**2 * self.p11 + (_POSITION * size) ** 2 * frames
        self.p01 += seconds * self.p11
        self.p11 += (_VELOCITY * size) ** 2 * frames

    def correct(self, rows: npt.NDArray[np.intp], seen: Columns) -> None:
        """The objects of ``rows``, intp (K,), were seen at ``seen``, float64 (K, 4)."""
        p00, p01 = self.p00[rows], self.p01[rows]
        gain = p00 / (p00 + (_POSITION * _size(self.place[rows])) ** 2)
        gain_speed = gain * p01 / p00
        off = seen - self.place[rows]
        self.place[rows] += gain * off
        self.speed[rows] += gain_speed * off
        self.p00[rows] = (1 - gain) * p00
        self.p01[rows] = (1 - gain) * p01
        self.p11[rows] -= gain_speed * p01

    def distance(self, rows: npt.NDArray[np.intp], seen: Columns) -> Columns:
        """How unlikely centres are: squared Mahalanobis distance, float64 (rows, seen)."""
        place = self.place[rows]
        noise = self.p00[rows, :2] + (_POSITION * _size(place)[:, :2]) ** 2
        off = seen[None, :, :2] - place[:, None, :2]
        out: Columns = (off**2 / noise[:, None]).sum(2)
        return out


def _size(place: Columns) -> Columns:
    """Width and height twice: what the noise of x, y, width, height is measured by."""
    return np.maximum(place[:, [2, 3, 2, 3]], _LEAST)
