"""What somebody does at a tile's window: keys, buttons, the pointer, and that the window was uncovered.

VTK's X windows report nothing by themselves; its interactor reads the window's connection to the X server.  It is
asked when that has something (``fileno``), and never waits.
"""

from __future__ import annotations

import ctypes
from typing import Any

from vtkmodules.vtkRenderingUI import vtkXRenderWindowInteractor

from renderers.wall.messages import Input
from renderers.wall.swap_group import handle

BUTTONS = {"LeftButton": 1, "MiddleButton": 2, "RightButton": 3}
MOST = 256
"""Events that are kept from one time to the next."""


class WindowKeys:
    """The events of one window."""

    def __init__(self, window: Any, tile: str, height: int) -> None:
        self.tile = tile
        self.uncovered = False
        """Whether the window has to be drawn again; whoever does so says False."""
        self._height = height
        self._events: list[Input] = []
        self._interactor = vtkXRenderWindowInteractor()
        self._interactor.SetInteractorStyle(None)
        self._interactor.SetRenderWindow(window)
        # A picture is shown when the conductor says so and at no other time.
        self._interactor.EnableRenderOff()
        self._interactor.Initialize()
        for name in ("KeyPressEvent", "KeyReleaseEvent", "MouseMoveEvent", "ExposeEvent"):
            self._interactor.AddObserver(name, self._happened)
        for button in BUTTONS:
            for what in ("PressEvent", "ReleaseEvent"):
                self._interactor.AddObserver(button + what, self._happened)
        self._descriptor = _connection(handle(window.GetGenericDisplayId()))

    def fileno(self) -> int:
        """A descriptor that is readable when the X server has said something; −1 if it is not known."""
        return self._descriptor

    def read(self) -> list[Input]:
        """What has happened since, in order; a key that repeats itself has been pressed once."""
        self._interactor.ProcessEvents()
        found, self._events = self._events, []
        return once(found)

    def close(self) -> None:
        """Listens no more."""
        self._interactor.RemoveAllObservers()
        self._interactor.SetRenderWindow(None)

    def _happened(self, interactor: Any, name: str) -> None:
        if name == "ExposeEvent":
            self.uncovered = True
            return
        if len(self._events) >= MOST:
            return
        x, y = interactor.GetEventPosition()
        # VTK counts from the lower edge.
        x, y = float(x), float(self._height - 1 - y)
        if name in ("KeyPressEvent", "KeyReleaseEvent"):
            key = str(interactor.GetKeySym() or "")
            self._events.append(Input(self.tile, "key", key[:32], name == "KeyPressEvent", x, y))
        elif name == "MouseMoveEvent":
            self._events.append(Input(self.tile, "motion", "", False, x, y))
        else:
            button, _, what = name.partition("Button")
            number = BUTTONS[f"{button}Button"]
            self._events.append(Input(self.tile, "button", str(number), what == "PressEvent", x, y))


def once(events: list[Input]) -> list[Input]:
    """The events without what a held key repeats (a release and a press in one go), and without ways of the pointer
    in between."""
    found: list[Input] = []
    for event in events:
        before = found[-1] if found else None
        if before is not None and before.kind == event.kind == "motion":
            found[-1] = event
        elif (
            before is not None
            and before.kind == event.kind == "key"
            and before.code == event.code
            and event.pressed
            and not before.pressed
        ):
            found.pop()
        else:
            found.append(event)
    return found


def _connection(display: int) -> int:
    """The descriptor of an X connection, by its address; −1 if there is none."""
    try:
        xlib: Any = ctypes.CDLL("libX11.so.6")
    except OSError:
        return -1
    xlib.XConnectionNumber.argtypes = [ctypes.c_void_p]
    return int(xlib.XConnectionNumber(display)) if display else -1
