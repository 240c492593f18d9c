"""Swap groups: the driver holds all swaps of a group back until each of its windows is ready (``GLX_NV_swap_group``).

Tiles of one X server then swap in one vertical retrace, after the software barrier has said Show; with a sync card and
the driver's barrier those of several do.  A window whose process stands still would hold all others back, which is
what the software barrier is there to prevent: so a group is joined where somebody asks for it, and a tile leaves it as
long as it does not show what the wall shows.  Written from the extension's specification; not measured, for want of
such a driver.
"""

from __future__ import annotations

import ctypes
from typing import Any

import structlog

NAME = b"GLX_NV_swap_group"
GROUP, BARRIER = 1, 1


def handle(pointer: object) -> int:
    """The address in what VTK gives out for a native handle (``_00005581a3c0_p_void``); 0 if there is none."""
    digits = str(pointer or "").strip("_").partition("_")[0]
    try:
        return int(digits, 16)
    except ValueError:
        return 0


def driver() -> Any:
    """The system's GLX library; None where there is none."""
    try:
        return ctypes.CDLL("libGL.so.1")
    except OSError:
        return None


class SwapGroup:
    """One window's place in a group.  All calls come from the thread that owns the window."""

    def __init__(self, display: int, window: int, screen: int, glx: Any) -> None:
        """``display`` is the address of the X connection that the window, an X window with a current GLX context, was
        opened with; ``glx`` is ``driver()``."""
        self._display, self._window, self._screen = display, window, screen
        self.trouble = ""
        """Why there is no group to join, in a sentence; the software barrier is then what there is."""
        self._inside = False
        self._calls: dict[str, Any] = {}
        self._barriers = 0
        if glx is None or not display or not window:
            self.trouble = "there is no GLX window"
            return
        glx.glXQueryExtensionsString.restype = ctypes.c_char_p
        glx.glXQueryExtensionsString.argtypes = [ctypes.c_void_p, ctypes.c_int]
        if NAME not in (glx.glXQueryExtensionsString(display, screen) or b"").split():
            self.trouble = f"the driver has no {NAME.decode()}"
            return
        glx.glXGetProcAddressARB.restype = ctypes.c_void_p
        glx.glXGetProcAddressARB.argtypes = [ctypes.c_char_p]
        whole, pointer = ctypes.c_uint, ctypes.POINTER(ctypes.c_uint)
        for name, takes in (
            ("glXQueryMaxSwapGroupsNV", (ctypes.c_void_p, ctypes.c_int, pointer, pointer)),
            ("glXJoinSwapGroupNV", (ctypes.c_void_p, ctypes.c_ulong, whole)),
            ("glXBindSwapBarrierNV", (ctypes.c_void_p, whole, whole)),
        ):
            address = glx.glXGetProcAddressARB(name.encode())
            if not address:
                self.trouble = f"the driver names {NAME.decode()} and lacks {name}"
                return
            self._calls[name] = ctypes.CFUNCTYPE(ctypes.c_int, *takes)(address)
        groups, barriers = ctypes.c_uint(0), ctypes.c_uint(0)
        asked = self._calls["glXQueryMaxSwapGroupsNV"](
            display, screen, ctypes.byref(groups), ctypes.byref(barriers)
        )  # fmt: skip
        if not asked or groups.value < GROUP:
            self.trouble = "the driver has no swap group for this screen"
            return
        self._barriers = barriers.value

    def join(self) -> bool:
        """From now on swaps wait for those of the group; False where there is none."""
        if self._inside or self.trouble:
            return self._inside
        log = structlog.get_logger("tile")
        if not self._calls["glXJoinSwapGroupNV"](self._display, self._window, GROUP):
            self.trouble = "the driver does not let this window into the swap group"
            log.warning("swap group", why=self.trouble)
            return False
        self._inside = True
        if self._barriers >= BARRIER and not self._calls["glXBindSwapBarrierNV"](self._display, GROUP, BARRIER):
            log.warning("swap barrier", why="the driver does not bind it: machines swap each by itself")
        return True

    def leave(self) -> None:
        """From now on nobody waits for this window."""
        if self._inside:
            self._calls["glXJoinSwapGroupNV"](self._display, self._window, 0)
            self._inside = False
