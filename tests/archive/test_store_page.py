"""docs/store.md and a real store speak of the same variables, dimensions and attributes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import xarray
from msgspec.structs import replace

from streamer.archive.writer import Writer
from streamer.wire.block import PARTS
from streamer.wire.codec import crc32c
from streamer.wire.grid import Grid
from streamer.wire.header import encode
from streamer.wire.layers import pack_layer
from streamer.wire.messages import PartInfo
from streamer.wire.volume import Keep, RunSpec, Volume
from tests.archive.parts import blobs, made, spec_of
from tests.archive.test_writer import store_of
from tests.workers.reference import globe_areas_km2, globe_volume, plain_volume

PAGE = (Path(__file__).parents[2] / "docs" / "store.md").read_text()


def store(folder: Path, volume: Volume) -> Any:
    grid = Grid(volume.shape, (2, 3, 3), (False, False, True))
    spec: RunSpec = replace(
        spec_of(volume, (2, 3, 3)), layers=("field", "probability"), field_range=(0.0, 3.0), grid=grid,
        volume=replace(volume, title="t", provenance="p"), keep=Keep(0.0, 0.5),
    )  # fmt: skip
    areas = globe_areas_km2(volume) if volume.on_sphere else None
    writer = Writer(store_of(folder, spec), spec)
    raw = pack_layer(np.ones(grid.chunk, np.uint8), grid.chunk)
    for commit, payloads in made(spec, blobs(volume.shape), areas):
        infos = tuple(PartInfo(name, len(raw), crc32c(raw)) for name in spec.layers)
        header = encode(replace(commit, parts=(*commit.parts, *infos)))
        assert writer.wants == (*PARTS, *spec.layers)
        writer.entry("chunk", [header, *payloads, raw, raw])
    writer.entry("end", [b"complete"])
    return xarray.open_zarr(folder / "run.zarr")


def documented(volume: Volume) -> dict[str, set[str]]:
    """Variables of the page and their dimensions, with the axes' own names."""
    z, y, x = (axis.name for axis in volume.axes)
    found: dict[str, set[str]] = {}
    for line in PAGE.split("## Variables")[1].split("## Attributes")[0].splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        names = re.findall(r"`([^`]+)`", cells[0]) if cells else []
        for name in names:
            whole = (
                [z, y, x]
                if name == "AXIS"
                else [re.sub(r"\bY\b|(?<=_)Y|Y(?=_)", y, re.sub(r"(?<=_)X|X(?=_)", x, name))]
            )
            dims = {"AXIS": {z, y, x}, "AXIS_chunk": {f"{n}_chunk" for n in (z, y, x)}}.get(cells[1], {cells[1]})
            found |= {each: {each} if name == "AXIS" else dims for each in whole}
    return found


def test_every_variable_is_described_and_has_the_dimensions_that_the_page_says(tmp_path: Path) -> None:
    seen: set[str] = set()
    for kind, volume in (("globe", globe_volume((4, 6, 9))), ("plain", plain_volume((4, 6, 9)))):
        (tmp_path / kind).mkdir()
        real, told = store(tmp_path / kind, volume), documented(volume)
        for name in real.variables:
            assert name in told, f"docs/store.md does not speak of {name}"
            assert set(real[name].dims) == told[name], name
        y, x = volume.axes[1].name, volume.axes[2].name
        seen |= {
            re.sub(f"(?<=_){y}$|^{y}(?=_)", "Y", re.sub(f"(?<=_){x}$|^{x}(?=_)", "X", str(n))) for n in real.variables
        }
    page = set(re.findall(r"`([A-Za-z_0-9]+)`", "\n".join(
        line.split("|")[1] for line in PAGE.split("## Variables")[1].split("## Attributes")[0].splitlines()[4:]
        if line.startswith("|")
    )))  # fmt: skip
    assert page - {"AXIS"} <= seen, sorted(page - seen)


def test_every_attribute_is_described_and_no_other(tmp_path: Path) -> None:
    real = set(store(tmp_path, globe_volume((4, 6, 9))).attrs)
    assert set(re.findall(r"`([A-Za-z_]+)`", PAGE.split("## Attributes")[1].split("## Files")[0])) - {
        "unfinished", "complete", "cancelled",
    } == real  # fmt: skip
