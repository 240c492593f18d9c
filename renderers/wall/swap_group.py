"""Swap groups: the driver holds all swaps of a group back until each of its windows is ready (``GLX_NV_swap_group``).

Where it is there, tiles of one machine (and of several, with a sync card) swap in one vertical retrace, after the
software barrier has said Show.  Written from the extension's specification; not measured, for want of such a driver.
"""

from __future__ import annotations

import ctypes
from typing import Any

import structlog

NAME = b"GLX_NV_swap_group"


def handle(pointer: object) -> int:
    """The address in what VTK gives out for a native handle (``_00005581a3c0_p_void``); 0 if there is none."""
    digits = str(pointer or "").strip("_").partition("_")[0]
    try:
        return int(digits, 16)
    except ValueError:
        return 0


def join_swap_group(display: int, window: int, screen: int = 0, group: int = 1) -> bool:
    """Puts a window (an X window with a current GLX context) into a swap group; False where there is none to join.

    ``display`` is the address of the X connection that the window was opened with.
    """
    try:
        glx: Any = ctypes.CDLL("libGL.so.1")
    except OSError:
        return False
    glx.glXQueryExtensionsString.restype = ctypes.c_char_p
    glx.glXQueryExtensionsString.argtypes = [ctypes.c_void_p, ctypes.c_int]
    glx.glXGetProcAddressARB.restype = ctypes.c_void_p
    glx.glXGetProcAddressARB.argtypes = [ctypes.c_char_p]
    if not display or not window or NAME not in (glx.glXQueryExtensionsString(display, screen) or b"").split():
        return False
    address = glx.glXGetProcAddressARB(b"glXJoinSwapGroupNV")
    if not address:
        return False
    join = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_uint)(address)
    joined = bool(join(display, window, group))
    structlog.get_logger("tile").info("swap group", joined=joined, group=group)
    return joined
