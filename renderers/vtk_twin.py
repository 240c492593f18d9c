"""A scene once more, for a second window of one process: the same surfaces in memory, other buffers for drawing.

OpenGL's buffers belong to a window, so each has actors and mappers of its own; points, colours and triangles are those
of the first window's scene, made once.  ``follow`` brings the twin up to date; it costs a look at each actor.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper, vtkRenderer, vtkTexture, vtkVolume
from vtkmodules.vtkRenderingVolume import vtkGPUVolumeRayCastMapper


class _Copy(NamedTuple):
    prop: Any
    mapper: Any
    times: tuple[int, int]
    """When the originals of both were changed last, as VTK counts."""


class Twin:
    """What stands in a renderer, in a renderer for another window."""

    def __init__(self) -> None:
        self.renderer = vtkRenderer()
        self.renderer.AutomaticLightCreationOff()
        self.renderer.GetCullers().RemoveAllItems()
        self._copies: dict[Any, _Copy] = {}

    def follow(self, original: Any) -> None:
        """Shows from now on what the original renderer shows (actors and volumes; no words), in the same order."""
        here = self.renderer
        here.SetUseDepthPeeling(original.GetUseDepthPeeling())
        here.SetMaximumNumberOfPeels(original.GetMaximumNumberOfPeels())
        here.SetOcclusionRatio(original.GetOcclusionRatio())
        before, order, changed = self._copies, list(self._copies), False
        self._copies = {}
        for prop in original.GetViewProps():
            copy = before.pop(prop, None)
            if copy is None:
                if not isinstance(prop, vtkActor | vtkVolume):
                    continue
                changed, copy = True, _made(prop)
            self._copies[prop] = self._fresh(prop, copy)
        changed = changed or list(self._copies) != order
        for gone in before.values():
            here.RemoveViewProp(gone.prop)
        if changed:
            # The order counts where two surfaces are at one place.
            props = here.GetViewProps()
            props.RemoveAllItems()
            for copy in self._copies.values():
                props.AddItem(copy.prop)

    @staticmethod
    def _fresh(prop: Any, copy: _Copy) -> _Copy:
        mapper = prop.GetMapper()
        times = prop.GetMTime(), mapper.GetMTime()
        if times[0] != copy.times[0]:
            copy.prop.ShallowCopy(prop)
            copy.prop.SetMapper(copy.mapper)
            if isinstance(prop, vtkActor) and (picture := prop.GetTexture()) is not None:
                texture = vtkTexture()
                texture.SetInputConnection(picture.GetInputConnection(0, 0))
                texture.SetInterpolate(picture.GetInterpolate())
                texture.SetRepeat(picture.GetRepeat())
                texture.SetMipmap(picture.GetMipmap())
                copy.prop.SetTexture(texture)
        if times[1] != copy.times[1]:
            if isinstance(prop, vtkActor):
                copy.mapper.ShallowCopy(mapper)
                copy.mapper.SetStatic(mapper.GetStatic())
            else:
                copy.mapper.SetInputConnection(mapper.GetInputConnection(0, 0))
                copy.mapper.RemoveAllClippingPlanes()
                for plane in mapper.GetClippingPlanes() or ():
                    copy.mapper.AddClippingPlane(plane)
                copy.mapper.SetAutoAdjustSampleDistances(mapper.GetAutoAdjustSampleDistances())
                copy.mapper.SetUseJittering(mapper.GetUseJittering())
                copy.mapper.SetSampleDistance(mapper.GetSampleDistance())
        return copy if times == copy.times else copy._replace(times=times)


def _made(prop: Any) -> _Copy:
    if isinstance(prop, vtkVolume):
        return _Copy(vtkVolume(), vtkGPUVolumeRayCastMapper(), (-1, -1))
    return _Copy(vtkActor(), vtkPolyDataMapper(), (-1, -1))
