"""One training over several devices or hosts: ``keras.distribution`` on JAX.

Every device learns from its share of each batch, and all take the same step: gradients, losses and the
statistics of batch normalisation are those of the whole batch, so the training is the one of a single device
but for rounding. Needs JAX, and Keras with JAX as its backend.

Several hosts are told of each other by Keras's own variables ``KERAS_DISTRIBUTION_JOB_ADDRESSES``,
``KERAS_DISTRIBUTION_NUM_PROCESSES`` and ``KERAS_DISTRIBUTION_PROCESS_ID``; each has the pictures and a work
folder of its own, reads its share of each batch, and ends with the same weights.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from converters.steps.base import Report
from converters.training.feed import Feed
from edgecam.errors import EdgecamError, UsageError

HOSTS = "KERAS_DISTRIBUTION_NUM_PROCESSES"


def begin(options: Mapping[str, Any], report: Report) -> None:
    """Meet the other hosts and spread all variables over the devices, before a network is made.

    Raises:
        UsageError: several devices without JAX; more than there are.
        EdgecamError: the other hosts cannot be reached.
    """
    wanted = options.get("devices", 1)
    if "devices" not in options and os.environ.get(HOSTS):
        raise UsageError("only train runs on several hosts", f"unset {HOSTS}")
    if options.get("backend", "") != "jax":
        if wanted > 1 or os.environ.get(HOSTS):
            raise UsageError("several devices or hosts need JAX", "--backend jax")
        return
    import keras

    if int(os.environ.get(HOSTS) or 1) > 1:
        _meet()
    found = keras.distribution.list_devices()
    if wanted > len(found):
        raise UsageError(
            f"devices = {wanted}, but JAX sees {len(found)} ({', '.join(found[:4])})",
            "a processor counts as several by XLA_FLAGS=--xla_force_host_platform_device_count=N",
        )
    hosts = _hosts()
    if hosts > 1 and wanted not in (0, len(found)):
        raise UsageError(f"devices = {wanted} of {len(found)} on {hosts} hosts", "leave devices out: all")
    taken = found[:wanted] if wanted else found
    where = f" on {hosts} hosts" if hosts > 1 else ""
    report.line(f"JAX: {len(taken)} device{'s' if len(taken) > 1 else ''}{where} ({', '.join(taken[:4])})")
    if len(taken) > 1:
        keras.distribution.set_distribution(
            keras.distribution.DataParallel(devices=taken, auto_shard_dataset=False)
        )


def shared(feed: Feed, batch: int) -> Feed:
    """This host's share of a feed.

    Args:
        feed: batches of all hosts together.
        batch: pictures in each.

    Raises:
        UsageError: they cannot be divided among the devices.
    """
    import keras

    if keras.backend.backend() != "jax":
        return feed
    distribution = keras.distribution.distribution()
    count = 1 if distribution is None else int(distribution.device_mesh.devices.size)
    if batch % count:
        raise UsageError(
            f"a batch of {batch} cannot be divided among {count} devices",
            f"batch = {-(-batch // count) * count}",
        )
    return _Share(feed, _host(), _hosts()) if _hosts() > 1 else feed


def whole(feed: Feed) -> Feed:
    """The batches of all hosts together, of which this feed may be a share."""
    return feed.whole if isinstance(feed, _Share) else feed


@contextmanager
def apart() -> Iterator[None]:
    """While inside, the variables that are made are this host's alone."""
    import keras

    found = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(found)


def agreed(what: str, value: str | int) -> None:
    """Hold all hosts to the same value; does nothing on a single one.

    Raises:
        EdgecamError: they have others.
    """
    if _hosts() < 2:
        return
    import hashlib

    from jax.experimental import multihost_utils

    mark = np.frombuffer(hashlib.sha256(str(value).encode()).digest()[:8], np.int32)
    marks = np.asarray(multihost_utils.process_allgather(mark))
    if (marks != marks[0]).any():
        raise EdgecamError(
            f"the hosts differ in {what} (here {value})", "give all the same work folder's content"
        )


class _Share:
    """A host's part of every batch of ``whole``."""

    def __init__(self, feed: Feed, host: int, hosts: int) -> None:
        self.whole, self._host, self._hosts = feed, host, hosts

    @property
    def steps(self) -> int:
        return self.whole.steps

    def epoch(self, number: int) -> Iterator[Any]:
        for batch in self.whole.epoch(number):
            size = len(batch[0]) // self._hosts
            yield tuple(part[self._host * size : (self._host + 1) * size] for part in batch)


def _meet() -> None:
    import keras

    try:
        keras.distribution.initialize()
    except (RuntimeError, ValueError) as error:
        first = str(error).strip().splitlines()[0][:200]
        raise EdgecamError(
            f"the hosts cannot meet ({first})",
            "check the KERAS_DISTRIBUTION_ variables and the ports between them",
        ) from error


def jax_module() -> Any:
    """JAX where Keras computes with it, else None."""
    import keras

    if keras.backend.backend() != "jax":
        return None
    import jax

    return jax


def _hosts() -> int:
    jax = jax_module()
    return 1 if jax is None else int(jax.process_count())


def _host() -> int:
    jax = jax_module()
    return 0 if jax is None else int(jax.process_index())
