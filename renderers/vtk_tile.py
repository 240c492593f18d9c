"""The window of one tile: one or two off-axis drawings of the scene, in the form that the output wants.

The scene's renderer is handed in and only looked through; what stands in it is not this room's business.
Drawing goes to the back buffer (``draw``), showing is a swap (``show``), so that all tiles can do the
latter together.  Halves are drawn straight into their part of the window; rows, squares and red/cyan are
mixed from two pictures in memory, as VTK's own stereo modes do.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonMath import vtkMatrix4x4
from vtkmodules.vtkRenderingCore import vtkLight, vtkRenderer
from vtkmodules.vtkRenderingOpenGL2 import vtkXOpenGLRenderWindow

from renderers.vtk_window import NoOpenGL, Pixels, Reader, keep_memory, open_window, silent
from renderers.wall.records import Place, Stereo, Tile
from renderers.wall.sight import Sight
from renderers.wall.stereo import MIXED, mix

STRENGTHS = (0.62, 0.50)
"""Of the lights, as in ``Sight.lamps``."""
BACKGROUND = (0.012, 0.017, 0.030)
"""One colour everywhere: a gradient would begin anew on every tile."""
NOTHING: Pixels = np.zeros((0, 0, 3), np.uint8)


def window_for(tile: Tile, *, offscreen: bool) -> Any:
    """A window for a tile, initialised: borderless at its place on its X screen, or one that nobody sees.

    Raises NoOpenGL, with the display's name where an X display cannot be opened.
    """
    if offscreen or not tile.display:
        return open_window(tile.place.width, tile.place.height)
    keep_memory()
    # VTK opens the display that the environment names, and takes no name of its own from Python.
    before = os.environ.get("DISPLAY")
    os.environ["DISPLAY"] = tile.display
    try:
        window = vtkXOpenGLRenderWindow()
        window.SetWindowName(f"cavecast {tile.name}")
        window.SetBorders(False)
        window.SetMultiSamples(0)
        window.SetPosition(tile.place.x, tile.place.y)
        window.SetSize(tile.place.width, tile.place.height)
        window.SetStereoCapableWindow(tile.stereo == "quad-buffer")
        with silent():
            window.Initialize()
        window.HideCursor()
    finally:
        if before is None:
            del os.environ["DISPLAY"]
        else:
            os.environ["DISPLAY"] = before
    if not window.GetInitialized():
        raise NoOpenGL(f"tile {tile.name}: the X display {tile.display} cannot be opened or has no OpenGL")
    return window


def as_shown(tile: Tile, window: Any) -> tuple[Tile, str]:
    """The tile as its window can show it, and why it is not as the wall has it; empty if it is."""
    if tile.stereo != "quad-buffer" or window.GetStereoCapableWindow():
        return tile, ""
    why = "the driver has no quad-buffered stereo here: one picture is shown, for the middle between the eyes"
    return msgspec.structs.replace(tile, stereo="mono"), why


class TileWindow:
    """A window and the scene that is seen through it.  All calls come from the thread that owns the window."""

    def __init__(self, window: Any, renderer: vtkRenderer, stereo: Stereo, offset: tuple[int, int] = (0, 0)) -> None:
        """``offset``: the window's place on the display, for outputs whose rows or squares are fixed there."""
        self._window, self._renderer, self._stereo, self._offset = window, renderer, stereo, offset
        self._reader = Reader()
        renderer.GradientBackgroundOff()
        renderer.SetBackground(*BACKGROUND)
        renderer.RemoveAllLights()
        self._lights = []
        for strength in STRENGTHS:
            light = vtkLight()
            light.SetLightTypeToSceneLight()
            light.PositionalOn()
            light.SetConeAngle(180)
            light.SetIntensity(strength)
            renderer.AddLight(light)
            self._lights.append(light)

    def draw(self, sights: Sequence[Sight], before: Callable[[Sight], object] = bool) -> None:
        """Draws to the back buffer; returns when the picture is finished there.

        Whatever other scenes stand in the window are left out.

        ``before`` is called ahead of each drawing, for what depends on the eye; by default it does nothing.
        """
        self._window.SwapBuffersOff()
        self._alone()
        self._light(sights[0])
        if self._stereo == "quad-buffer":
            self._both_buffers(sights[0], sights[1], before)
        else:
            pictures = [self._drawn(sight, before) for sight in sights]
            if self._stereo in MIXED:
                self._put(mix(self._stereo, pictures[0], pictures[1], self._offset))
        self._window.WaitForCompletion()

    def stamp(self, picture: Pixels, x: int = 0, y: int = 0) -> None:
        """Puts a small picture, (h, w, 3) with the top row first, into the back buffer: its upper left corner at x, y.

        What does not fit into the window is left out.
        """
        width, height = self._window.GetSize()
        fits = picture[: max(0, height - y), : max(0, width - x)]
        if not fits.size:
            return
        rows, columns, _ = fits.shape
        upwards = numpy_to_vtk(np.ascontiguousarray(fits[::-1]).reshape(-1, 3))
        self._window.SetPixelData(x, height - y - rows, x + columns - 1, height - y - 1, upwards, 0, 0)
        self._window.WaitForCompletion()

    def show(self) -> None:
        """Shows what was drawn last."""
        self._window.SwapBuffersOn()
        self._window.Frame()

    def pixels(self) -> Pixels:
        """What was drawn last, (height, width, 3) RGB, the top row first; valid until the next call."""
        return self._reader.read(self._window)

    def _alone(self) -> None:
        if not self._window.HasRenderer(self._renderer):
            self._window.AddRenderer(self._renderer)
        for other in self._window.GetRenderers():
            other.SetDraw(other is self._renderer)

    def _drawn(self, sight: Sight, before: Callable[[Sight], object]) -> Pixels:
        before(sight)
        width, height = self._window.GetSize()
        self._renderer.SetViewport(*viewport(sight.into, width, height))
        look_through(self._renderer.GetActiveCamera(), sight)
        self._window.Render()
        return self._reader.read(self._window).copy() if self._stereo in MIXED else NOTHING

    def _both_buffers(self, left: Sight, right: Sight, before: Callable[[Sight], object]) -> None:
        """The driver's left and right back buffers: VTK draws both eyes itself, with its own off-axis camera."""
        before(left._replace(eye="middle"))
        look_with_both(self._renderer.GetActiveCamera(), left, right)
        self._window.SetStereoTypeToCrystalEyes()
        self._window.StereoRenderOn()
        self._window.Render()

    def _light(self, sight: Sight) -> None:
        for light, lamp in zip(self._lights, sight.lamps, strict=True):
            light.SetPosition(*lamp)
            light.SetFocalPoint(0.0, 0.0, 0.0)

    def _put(self, picture: Pixels) -> None:
        height, width, _ = picture.shape
        upwards = numpy_to_vtk(np.ascontiguousarray(picture[::-1]).reshape(-1, 3))
        self._window.SetPixelData(0, 0, width - 1, height - 1, upwards, 0, 0)


def bare_renderer() -> vtkRenderer:
    """A scene with nothing in it."""
    renderer = vtkRenderer()
    renderer.AutomaticLightCreationOff()
    return renderer


def viewport(into: Place, width: int, height: int) -> tuple[float, float, float, float]:
    """A part of a window as VTK wants it: left, bottom, right, top, from the lower left corner, 0…1."""
    return (
        into.x / width,
        1 - (into.y + into.height) / height,
        (into.x + into.width) / width,
        1 - into.y / height,
    )


def look_through(camera: Any, sight: Sight) -> None:
    """Makes a VTK camera see what an eye sees through a screen."""
    _, up, out = sight.screen.axes
    eye = np.array(sight.position)
    camera.UseOffAxisProjectionOff()
    camera.SetPosition(*eye)
    camera.SetFocalPoint(*(eye - out))
    camera.SetViewUp(*up)
    camera.SetClippingRange(sight.frustum.near, sight.frustum.far)
    camera.SetExplicitProjectionTransformMatrix(_matrix(sight.frustum.projection))
    camera.UseExplicitProjectionTransformMatrixOn()


def look_with_both(camera: Any, left: Sight, right: Sight) -> None:
    """Makes a VTK camera draw both eyes through a screen, one after the other, when stereo is on."""
    here, there = np.array(left.position), np.array(right.position)
    apart = float(np.linalg.norm(there - here))
    _, up, _ = left.screen.axes
    eyes = np.eye(4)
    eyes[:3, 0] = (there - here) / apart if apart else left.screen.axes[0]
    across = np.cross(eyes[:3, 0], up)
    eyes[:3, 2] = across / np.linalg.norm(across) if np.linalg.norm(across) > 1e-6 else left.screen.axes[2]
    eyes[:3, 1] = np.cross(eyes[:3, 2], eyes[:3, 0])
    eyes[:3, 3] = (here + there) / 2
    camera.UseExplicitProjectionTransformMatrixOff()
    camera.SetScreenBottomLeft(*left.screen.lower_left)
    camera.SetScreenBottomRight(*left.screen.lower_right)
    camera.SetScreenTopRight(*left.screen.upper_right)
    camera.SetEyeTransformMatrix(_matrix(eyes))
    camera.SetEyeSeparation(apart)
    camera.SetClippingRange(left.frustum.near, left.frustum.far)
    camera.UseOffAxisProjectionOn()


def _matrix(values: NDArray[np.float64]) -> vtkMatrix4x4:
    matrix = vtkMatrix4x4()
    matrix.DeepCopy(values.ravel().tolist())
    return matrix
