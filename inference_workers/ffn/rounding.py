"""Weights in bfloat16, rounded so that the errors of one kernel cancel.

bfloat16 keeps eight bits of a number, and a network that rounds each weight by itself is off by as much as
its weights are, times what it sees.  What a kernel sees is smooth: its taps see nearly the same.  So what
rounding one tap leaves over is added to the next one, and the sum over a kernel's taps stays what it was.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def nearest(values: Floats) -> Floats:
    """The nearest numbers of bfloat16, the even one where two are as near; as float32.  For finite numbers."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32).astype(np.uint64)
    bits += 0x7FFF + (bits >> 16 & 1)
    return (bits >> 16 << 16).astype(np.uint32).view(np.float32)


def carried(kernel: Floats) -> Floats:
    """A kernel (z, y, x, in, out) in numbers of bfloat16: for each pair of in and out, the sum over its taps differs
    from the kernel's own by no more than the last one is rounded."""
    taps = kernel.reshape(-1, *kernel.shape[3:]).astype(np.float64)
    found, over = np.empty(taps.shape, np.float32), np.zeros(taps.shape[1:])
    for i, tap in enumerate(taps):
        wanted = tap + over
        found[i] = nearest(wanted.astype(np.float32))
        over = wanted - found[i]
    return found.reshape(kernel.shape)
