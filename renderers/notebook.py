"""A finished store in a notebook: its objects as PyVista surfaces, to turn, colour and measure there.

    from renderers.notebook import show
    show("objects.zarr").show()

Reads one object's box at a time, so that a store larger than memory can be looked at.  The geometry is
the plain one (contours between voxel centres); the renderer's is softer and grows while a run computes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyvista as pv
import xarray as xr
from numpy.typing import NDArray

from streamer.wire.colour import object_colour

LARGEST = 200


def surfaces(store: str | Path, largest: int = LARGEST) -> pv.MultiBlock:
    """The surfaces of a store's largest objects, one block each, named by the object's id.

    x and y are the coordinates of axes 2 and 1; z is axis 0 from 0 upwards, scaled to the height of y's extent.
    An object that crosses a periodic seam is in two pieces.  Each block has field data ``object_id`` and ``voxels``.
    Raises ValueError if the store holds no finished run of CaveCast.
    """
    with xr.open_zarr(store, chunks=None) as found:
        if "object_id" not in found or "labels" not in found:
            raise ValueError(f"{store} has no objects: it is not a finished store of CaveCast")
        axes = [_points(found, str(name)) for name in found.labels.dims]
        z = np.linspace(0.0, float(np.ptp(axes[1])) or 1.0, len(axes[0]))
        ids, voxels = found.object_id.values, found.voxels.values
        blocks = pv.MultiBlock()
        boxes = _boxes(found, ids)
        for row in np.argsort(-voxels, kind="stable")[:largest]:
            low, high = boxes[int(ids[row])]
            inside = np.pad(found.labels[_slices(low, high)].values == ids[row], 1)
            x, y, up = (
                _widened(axis, a, b) for axis, a, b in zip((axes[2], axes[1], z), low[::-1], high[::-1], strict=True)
            )
            grid = pv.RectilinearGrid(x, y, up)
            grid["inside"] = inside.astype(np.float32).ravel()
            surface = grid.contour([0.5], scalars="inside")
            surface.field_data["object_id"], surface.field_data["voxels"] = [int(ids[row])], [int(voxels[row])]
            blocks.append(surface, str(int(ids[row])))
        return blocks


def show(store: str | Path, largest: int = LARGEST, **plotter: Any) -> pv.Plotter:
    """A plotter with the largest objects in the colours that the viewer gives them; call its ``show``.

    ``plotter`` goes to ``pyvista.Plotter``.  Raises ValueError as ``surfaces`` does.
    """
    with xr.open_zarr(store, chunks=None) as found:
        z, y, x = (str(name) for name in found.labels.dims)
        steps = found.sizes[z]
    drawn = pv.Plotter(**plotter)
    drawn.set_background("#0b0f17")
    blocks = surfaces(store, largest)
    for surface in blocks:
        colour = object_colour(int(surface.field_data["object_id"][0]))
        drawn.add_mesh(surface, color=colour, smooth_shading=True)
    low_x, high_x, low_y, high_y, _, _ = blocks.bounds
    drawn.show_bounds(
        xtitle=x, ytitle=y, ztitle=f"{z} (steps)", axes_ranges=[low_x, high_x, low_y, high_y, 0, steps],
        grid="back", location="outer", color="#b8c4d6", font_size=10, fmt="%.0f", n_xlabels=4, n_ylabels=4, n_zlabels=4,
    )  # fmt: skip
    drawn.view_vector((-0.45, -1.0, 0.55), viewup=(0, 0, 1))
    return drawn


def _points(found: xr.Dataset, name: str) -> NDArray[np.float64]:
    """Where voxels lie along an axis; times by their number."""
    size = found.sizes[name]
    values = found[name].values if name in found.coords else np.arange(size)
    return values.astype(float) if values.dtype.kind in "iuf" else np.arange(size, dtype=float)


def _boxes(found: xr.Dataset, ids: NDArray[np.int64]) -> dict[int, tuple[list[int], list[int]]]:
    """First and last voxel of each object along each axis, from the labels, one slab of axis 0 at a time."""
    boxes: dict[int, tuple[list[int], list[int]]] = {}
    known = set(ids.tolist())
    step = max(1, found.labels.encoding["chunks"][0])
    for start in range(0, found.labels.shape[0], step):
        slab = found.labels[start : start + step].values
        where = np.nonzero(slab > 0)
        of = slab[where]
        order = np.argsort(of, kind="stable")
        edges = np.flatnonzero(np.diff(of[order], prepend=-1))
        places = [at[order] + (start if axis == 0 else 0) for axis, at in enumerate(where)]
        lows = [np.minimum.reduceat(at, edges) for at in places] if len(edges) else []
        highs = [np.maximum.reduceat(at, edges) for at in places] if len(edges) else []
        for i, edge in enumerate(edges):
            one = int(of[order[edge]])
            if one in known:
                low, high = boxes.setdefault(one, ([int(a[i]) for a in lows], [int(a[i]) for a in highs]))
                for axis in range(3):
                    low[axis], high[axis] = min(low[axis], int(lows[axis][i])), max(high[axis], int(highs[axis][i]))
    return boxes


def _slices(low: list[int], high: list[int]) -> tuple[slice, ...]:
    return tuple(slice(a, b + 1) for a, b in zip(low, high, strict=True))


def _widened(points: NDArray[np.float64], low: int, high: int) -> NDArray[np.float64]:
    """Voxel centres low…high and one place more on each side, ascending or descending as the axis is."""
    step = float(points[1] - points[0]) if len(points) > 1 else 1.0
    before = points[low - 1] if low else points[0] - step
    last = float(points[-1] - points[-2]) if len(points) > 1 else 1.0
    after = points[high + 1] if high + 1 < len(points) else points[-1] + last
    return np.concatenate([[before], points[low : high + 1], [after]])
