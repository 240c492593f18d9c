"""Keeps what a library in C++ says about itself off stderr while it is loaded.

TensorFlow greets each process with lines about instruction sets that no setting of its silences; people
would see them before every answer of a command, and a worker's log would begin with them.  Lines of
another kind are passed on once it is loaded.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

REMARK = re.compile(rb"[IW]\d{4} |[IW]\d{4}:?\d|WARNING: All log messages before absl::InitializeLog")


@contextmanager
def held_back() -> Iterator[None]:
    """For the time of the ``with``, lines that begin like TensorFlow's remarks do not come to stderr."""
    sys.stderr.flush()
    try:
        stderr = os.dup(2)
    except OSError:  # a process without stderr has none to keep clean
        yield
        return
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
            kept.seek(0)
            for line in kept:
                if not REMARK.match(line):
                    os.write(2, line)
