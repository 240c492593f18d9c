"""A window that nobody sees, and how a picture comes out of it.

Pictures are drawn off screen by EGL (a GPU's or Mesa's), or by OSMesa where EGL is missing.  VTK ends
the process when no OpenGL can be had, so the libraries are looked for before it is asked.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import vtkmodules.vtkRenderingFreeType
import vtkmodules.vtkRenderingOpenGL2 as opengl
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkLogger, vtkUnsignedCharArray
from vtkmodules.vtkFiltersSources import vtkSphereSource
from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper, vtkRenderer

Pixels = NDArray[np.uint8]
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""As glibc's malloc.h has them."""
KEPT_BYTES, LARGE_BYTES = 64 << 20, 32 << 20
"""Free memory that the process keeps, and what counts as large (glibc takes no more)."""
MISSING = (
    "No OpenGL can be had for drawing off screen: install Mesa's EGL "
    "(Debian and Ubuntu: apt install libegl1 libegl-mesa0; Fedora: dnf install mesa-libEGL mesa-dri-drivers)."
)
_FONTS = vtkmodules.vtkRenderingFreeType  # text is drawn by a factory that this import registers


class NoOpenGL(RuntimeError):
    """No OpenGL for drawing off screen; the message says which package to install."""


def open_window(width: int, height: int) -> Any:
    """A render window that draws off screen, initialised.  Raises NoOpenGL."""
    keep_memory()
    for library, kind in (("libEGL.so.1", "vtkEGLRenderWindow"), ("libOSMesa.so.8", "vtkOSOpenGLRenderWindow")):
        if not hasattr(opengl, kind) or not _loads(library):
            continue
        window = getattr(opengl, kind)()
        window.SetMultiSamples(0)
        window.SetOffScreenRendering(True)
        window.SetSize(width, height)
        with silent():
            window.Initialize()
        if window.GetInitialized() and "OpenGL version string" in window.ReportCapabilities():
            return window
    raise NoOpenGL(MISSING)


def keep_memory() -> None:
    """What a picture takes stays with the process for the next one, where the C library is glibc.

    Mesa without a graphics card takes some megabytes for each picture and frees them after it.  glibc gives them back
    to the kernel, which clears every page anew: a quarter of the time of a picture (docs/decisions/0031).
    """
    try:
        option = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return  # another C library
    # Both: who sets one of them sets an end to glibc's own way of finding the other.
    option(M_MMAP_THRESHOLD, LARGE_BYTES)
    option(M_TRIM_THRESHOLD, KEPT_BYTES)


@contextmanager
def silent() -> Iterator[None]:
    """VTK says nothing on stderr meanwhile: what went wrong is said by us."""
    verbosity = vtkLogger.GetCurrentVerbosityCutoff()
    vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_OFF)
    try:
        yield
    finally:
        vtkLogger.SetStderrVerbosity(verbosity)


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def describe(window: Any) -> str:
    """Version, renderer and vendor of the OpenGL that a window draws with."""
    words = ("OpenGL version string", "OpenGL renderer string", "OpenGL vendor string")
    lines = [line.partition(":") for line in window.ReportCapabilities().splitlines()]
    found = {name.strip(): value.strip() for name, _, value in lines}
    return ", ".join(found[word] for word in words if found.get(word))


def trial(window: Any) -> None:
    """Puts a ball into an empty window, to see whether it can draw."""
    ball, mapper, actor, stage = vtkSphereSource(), vtkPolyDataMapper(), vtkActor(), vtkRenderer()
    mapper.SetInputConnection(ball.GetOutputPort())
    actor.SetMapper(mapper)
    stage.AddActor(actor)
    window.AddRenderer(stage)


class Reader:
    """Reads pictures back into memory that it keeps."""

    def __init__(self) -> None:
        self._raw = vtkUnsignedCharArray()
        self._upright: Pixels = np.empty((0, 0, 3), np.uint8)

    def read(self, window: Any, into: Pixels | None = None) -> Pixels:
        """The picture just rendered, (height, width, 3), top row first; valid until the next call, or in ``into``."""
        width, height = window.GetSize()
        window.GetPixelData(0, 0, width - 1, height - 1, 0, self._raw, 0)
        bottom_up = vtk_to_numpy(self._raw).reshape(height, width, 3)
        if into is None and self._upright.shape != bottom_up.shape:
            self._upright = np.empty_like(bottom_up)
        # GL's first row is the bottom one.  The encoder reads rows in order only; turning them costs 0.1 ms.
        upright = self._upright if into is None else into
        np.copyto(upright, bottom_up[::-1])
        return upright
