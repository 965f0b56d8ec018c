"""Silence for TensorFlow, which prints hundreds of lines from Python and from C++."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

log = logging.getLogger(__name__)


@contextmanager
def quiet() -> Iterator[None]:
    """Standard output and error, also those of C++, go nowhere; if the block fails, to the log.

    Import TensorFlow inside. Not for several threads at once: the streams belong to the process.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    sys.stdout.flush()
    sys.stderr.flush()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace", buffering=1) as said:
        kept = [os.dup(1), os.dup(2)]
        try:
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
            # Python's own streams may have been put elsewhere (a notebook, a test): take them as well.
            with redirect_stdout(said), redirect_stderr(said):
                yield
        except BaseException:
            said.seek(0)
            log.warning("%s", said.read())
            raise
        finally:
            for number, copy in zip((1, 2), kept, strict=True):
                os.dup2(copy, number)
                os.close(copy)
