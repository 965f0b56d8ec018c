"""An interpreter with its delegate in a process of its own, so that the delegate's end is not edgecam's.

Libraries of accelerators crash, and hang in ``invoke`` where no exception and no thread can reach them. Here
they do so in a child: a crash is noticed at once, a hang after :data:`HANG` seconds, and both become a
:class:`~edgecam.errors.DelegateError`. Tensors travel through shared memory; a run costs two small messages
over a socket besides.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from edgecam.engines import probe
from edgecam.errors import DelegateError, EdgecamError, EngineError, ModelError
from edgecam.types import Array, TensorInfo

START = 60.0  # seconds to load a library, hand the model to the device and run once
HANG = 5.0  # seconds; the slowest model on the slowest accelerator takes a tenth of that
_END = 2.0  # seconds that a child gets to end by itself: an orderly end leaves the device usable
_MESSAGE = 2**20
_ALIGN = 64
_RUN = b"run"
_DONE = b"done"
_CODE = "import sys; sys.path.append(sys.argv[1]); from edgecam.engines.apart import child; child()"


class ApartSession:
    """What :class:`edgecam.engines.session.Session` is, in another process. :meth:`open` begins it.

    Attributes:
        input: as the session's.
        outputs: as the session's.
    """

    input: TensorInfo
    outputs: tuple[TensorInfo, ...]

    def __init__(self, request: probe.Request) -> None:
        self._what = f"the delegate {Path(request.library).name}"
        self._request = request
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._child = subprocess.Popen(
                [sys.executable, "-P", "-c", _CODE, probe.ROOT, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        self._memory: mmap.mmap | None = None
        self._views: list[Array] = []

    def open(self) -> None:
        """Load the library and the model, and run once.

        Raises:
            DelegateError: the library cannot be loaded, refuses, crashes or does not answer.
            EngineError: the interpreter refuses the model.
        """
        try:
            self._say(json.dumps({**asdict(self._request), "model": str(self._request.model)}).encode())
            self._wait(START)
            data, files, _, _ = socket.recv_fds(self._socket, _MESSAGE, 1)
        except OSError as error:
            raise self._over() from error
        if not data:
            raise self._over()
        answer = json.loads(data)
        if answer["error"]:
            self.close()
            raise _error(answer)
        self.input = _tensor(answer["input"])
        self.outputs = tuple(_tensor(entry) for entry in answer["outputs"])
        self._memory = mmap.mmap(files[0], 0)
        os.close(files[0])
        self._views = views(self._memory, [self.input, *self.outputs])

    def run(self, tensor: Array) -> list[Array]:
        """Run once; the outputs are views of shared memory, valid until the next run.

        Raises:
            EngineError: wrong shape or dtype.
            DelegateError: the run failed, or the process crashed or hangs.
        """
        if not self._views:
            raise DelegateError(f"{self._what} is closed", "make a new engine")
        if tensor.shape != self.input.shape or tensor.dtype != self.input.dtype:
            raise EngineError(
                f"input is {tensor.dtype} {tensor.shape}, expected {self.input.dtype} {self.input.shape}"
            )
        np.copyto(self._views[0], tensor)
        self._say(_RUN)
        self._wait(HANG)
        try:
            answer = self._socket.recv(_MESSAGE)
        except OSError as error:
            raise self._over() from error
        if answer == _DONE:
            return self._views[1:]
        if not answer:
            raise self._over()
        raise _error(json.loads(answer))

    def close(self) -> None:
        """End the process; safe to call twice, and from another thread while :meth:`open` waits."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        try:
            self._child.wait(_END)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._socket.close()
        self._views = []
        self._memory = None  # unmapped with its last view

    def _say(self, message: bytes) -> None:
        try:
            self._socket.send(message)
        except OSError as error:
            raise self._over() from error

    def _wait(self, seconds: float) -> None:
        if not self._poll.poll(seconds * 1000):
            self._child.kill()
            self.close()
            raise DelegateError(f"{self._what} did not answer for {seconds:g} s", "check the device")

    def _over(self) -> DelegateError:
        """The error for a child that is gone."""
        self.close()
        code: int = self._child.returncode
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        how = f"{'crashed' if code < 0 else 'ended its process'} under {self._request.runtime} ({name})"
        return DelegateError(f"{self._what} {how}", "check the device, or run without the delegate")


def child() -> None:
    """The child's main function: a request, then runs, until the other side is gone."""
    import resource

    from edgecam import tflite
    from edgecam.engines import runtimes
    from edgecam.engines.session import Session

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is the parent's to act on
    channel = socket.socket(fileno=int(sys.argv[2]))
    threading.Thread(target=_end_with_parent, args=(channel.fileno(),), daemon=True).start()
    request = json.loads(channel.recv(_MESSAGE))
    try:
        runtime = runtimes.load(request["runtime"])
        data = tflite.load(Path(request["model"])).data
        session = Session(runtime, data, request["threads"], request["library"], request["options"])
    except EdgecamError as problem:
        channel.send(_told(problem))
        os._exit(0)
    tensors = [session.input, *session.outputs]
    shared = os.memfd_create("edgecam-tensors")
    os.ftruncate(shared, max(sum(_size(info) for info in tensors), 1))
    place = views(mmap.mmap(shared, 0), tensors)
    facts = {"error": "", "input": _facts(tensors[0]), "outputs": [_facts(info) for info in tensors[1:]]}
    socket.send_fds(channel, [json.dumps(facts).encode()], [shared])
    while channel.recv(_MESSAGE) == _RUN:
        try:
            for view, array in zip(place[1:], session.run(place[0]), strict=True):
                view[...] = array
        except EdgecamError as problem:
            channel.send(_told(problem))
        except ValueError:  # an output whose size depends on the picture
            channel.send(_told(DelegateError("an output changed its size")))
        else:
            channel.send(_DONE)
    del session  # lets go of the device in an orderly way
    os._exit(0)


def _end_with_parent(channel: int) -> None:
    """A hanging library would outlive the process that asked for it."""
    poll = select.poll()
    poll.register(channel, 0)  # only the end of the other side
    poll.poll()
    threading.Event().wait(_END)
    os._exit(0)


def views(memory: mmap.mmap, tensors: Sequence[TensorInfo]) -> list[Array]:
    """Arrays over shared memory, one behind the other."""
    made, at = [], 0
    for info in tensors:
        made.append(np.frombuffer(memory, info.dtype, int(np.prod(info.shape)), at).reshape(info.shape))
        at += _size(info)
    return made


def _size(info: TensorInfo) -> int:
    return -(-int(np.prod(info.shape)) * info.dtype.itemsize // _ALIGN) * _ALIGN


def _facts(info: TensorInfo) -> dict[str, Any]:
    return {**asdict(info), "dtype": info.dtype.name}


def _tensor(facts: Mapping[str, Any]) -> TensorInfo:
    return TensorInfo(**{**facts, "dtype": np.dtype(facts["dtype"]), "shape": tuple(facts["shape"])})


def _told(problem: EdgecamError) -> bytes:
    model = isinstance(problem, ModelError)
    return json.dumps({"error": problem.message, "remedy": problem.remedy, "model": model}).encode()


def _error(answer: Mapping[str, Any]) -> DelegateError | ModelError:
    kind = ModelError if answer["model"] else DelegateError
    return kind(str(answer["error"]), str(answer["remedy"]))
