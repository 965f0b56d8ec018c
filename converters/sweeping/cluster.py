"""Ray, started or joined, with one line for what goes wrong."""

from __future__ import annotations

import importlib.util
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from converters.sweeping import parcel
from edgecam.errors import EdgecamError

LOCAL, LOOPBACK = "local", "127.0.0.1"
_REACH = 10  # seconds
_REMEDY = "ray start --head there, with the same ~/.ray/auth_token, or leave --address out"


def check() -> None:
    """
    Raises:
        EdgecamError: Ray is not installed.
    """
    if importlib.util.find_spec("ray") is None:
        raise EdgecamError("Ray is not installed", "pip install 'edgecam[sweep]'")


@contextmanager
def joined(address: str) -> Iterator[Any]:
    """The module ``ray``, connected while inside.

    Args:
        address: of a cluster (``HOST:6379``, ``auto``); "" starts Ray in this machine alone, for this run.

    Raises:
        EdgecamError: not installed, or no cluster answers.
    """
    check()
    _reach(address)
    if address and _token():
        # Else Ray (2.60) shows its token to a cluster that it found itself, but to none that it was told.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    for name, value in {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_DISABLE_IMPORT_WARNING": "1",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        # Too short on a small machine that has other work.
        "RAY_raylet_start_wait_time_s": "300",
        "RAY_agent_register_timeout_ms": "300000",
    }.items():
        os.environ.setdefault(name, value)
    import ray

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if not address:
        quiet["include_dashboard"] = False
        quiet["_node_ip_address"] = LOOPBACK
    elif address.startswith("127."):
        # Otherwise Ray looks for this machine under its outer address, and waits for ever.
        quiet["_node_ip_address"] = address.partition(":")[0]
    try:
        ray.init(address=address or LOCAL, **quiet)
    except Exception as error:  # a start that takes too long is a bare one
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        if address:
            raise EdgecamError(f"no Ray cluster answers at {address} ({first})", _REMEDY) from error
        remedy = "try again when the machine is less busy; /tmp/ray has Ray's logs"
        raise EdgecamError(f"Ray cannot be started ({first})", remedy) from error
    try:
        yield ray
    except ray.exceptions.RayError as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise EdgecamError(
            f"the cluster was lost ({first})", "the same command goes on from there"
        ) from error
    finally:
        ray.shutdown()


def _token() -> bool:
    """Whether there is a token to show: ``ray start`` asks for it as soon as one lies in the home folder."""
    named = any(os.environ.get(name) for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"))
    return named or (Path.home() / ".ray" / "auth_token").is_file()


def _reach(address: str) -> None:
    """Ray itself tries for minutes.

    Raises:
        EdgecamError: nobody listens at HOST:PORT.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), _REACH).close()
    except (OSError, OverflowError) as error:
        raise EdgecamError(f"no Ray cluster answers at {address} ({error})", _REMEDY) from error


def seen_by_all(ray: Any, folder: Path, digest: str) -> bool:
    """Whether every machine has a folder with this content, see :func:`converters.sweeping.parcel.digest`."""
    own = ray.get_runtime_context().get_node_id()
    others = [node["NodeID"] for node in ray.nodes() if node["Alive"] and node["NodeID"] != own]
    strategy = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
    asked = [
        ray.remote(num_cpus=0, scheduling_strategy=strategy(node_id=node, soft=True))(parcel.digest).remote(
            folder
        )
        for node in others
    ]
    return all(found == digest for found in ray.get(asked))


def quietest_node(ray: Any) -> tuple[str, float]:
    """The node to measure on, and its processors: this one if it takes tasks, else the largest."""
    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    if not nodes:
        raise EdgecamError("no machine of the cluster takes tasks", "ray start --address=HOST:6379 on one")
    here = ray.get_runtime_context().get_node_id()
    best = max(nodes, key=lambda node: (node["NodeID"] == here, node["Resources"]["CPU"]))
    return best["NodeID"], best["Resources"]["CPU"]
