"""Objects as tables for other programs: CSV and Parquet with the columns of the store's tables, and GeoJSON.

What the streamer tells of objects (``ObjectPage``) becomes the columns that the archive writes, so that a table from
here and one from the store can be laid side by side.
"""

from __future__ import annotations

import io
import math
from itertools import pairwise
from typing import Any, Literal, NamedTuple, get_args

import msgspec
import numpy as np

from streamer.archive.calendar import iso_times
from streamer.archive.tables import Column, csv_text, object_columns, step_columns
from streamer.measures import Columns, Steps
from streamer.wire.status import LifeStep, ObjectPage, ObjectRow
from streamer.wire.volume import Volume

Kind = Literal["csv", "parquet", "geojson"]
MEDIA: dict[Kind, str] = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "geojson": "application/geo+json",
}
assert tuple(MEDIA) == get_args(Kind)


class NoFormat(ValueError):
    """A format that cannot be had: why, and the HTTP status that fits."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Table(NamedTuple):
    """Rows with a place each."""

    columns: list[Column]
    lon: tuple[float, ...]
    """The centroids' places, where the volume lies on the sphere, in the volume's degrees."""
    lat: tuple[float, ...]
    track: bool
    """Whether the rows are one after the other the way of one object."""


def dated(volume: Volume, page: ObjectPage) -> ObjectPage:
    """The same page with its steps' times, where axis 0 is time: the streamer does not know the data's calendar."""
    if not volume.has_time:
        return page
    named = {row.first_step for row in page.objects} | {row.last_step for row in page.objects}
    steps = sorted(named | {one.step for one in page.life})
    times = dict(zip(steps, iso_times(volume.axes[0], steps), strict=True)) if steps else {}
    return ObjectPage(
        page.total,
        tuple(
            msgspec.structs.replace(row, first_time=times[row.first_step], last_time=times[row.last_step])
            for row in page.objects
        ),
        tuple(msgspec.structs.replace(one, time=times[one.step]) for one in page.life),
    )


def objects(volume: Volume, page: ObjectPage) -> Table:
    """The objects of a page, in its order."""
    rows = page.objects
    columns = Columns(
        object_id=np.array([row.id for row in rows], np.uint64),
        first_step=_whole(rows, "first_step"),
        last_step=_whole(rows, "last_step"),
        lifetime_h=_maybe(rows, "lifetime_h"),
        voxels=_whole(rows, "voxels"),
        mean=_real(rows, "mean"),
        max=_real(rows, "max"),
        footprint_km2=_maybe(rows, "footprint_km2"),
        area_time_km2_h=_maybe(rows, "area_time_km2_h"),
        y=_real(rows, "y"),
        x=_real(rows, "x"),
        y_first=np.array([row.y_range[0] for row in rows], np.int64),
        y_last=np.array([row.y_range[1] for row in rows], np.int64),
        x_first=np.array([row.x_range[0] for row in rows], np.int64),
        x_last=np.array([row.x_range[1] for row in rows], np.int64),
        touches_edge=np.array([row.touches_edge for row in rows], bool),
        final=np.array([row.final for row in rows], bool),
        steps=_steps(0, ()),
    )
    return Table(object_columns(volume, columns), *_places(rows), track=False)


def life(volume: Volume, page: ObjectPage) -> Table:
    """The life of the one object of a page."""
    return Table(step_columns(volume, _steps(page.objects[0].id, page.life)), *_places(page.life), track=True)


def rendered(table: Table, volume: Volume, kind: Kind) -> bytes:
    """A table in a format.  Raises NoFormat."""
    times = iso_times(volume.axes[0]) if volume.has_time else []
    if kind == "csv":
        return csv_text(table.columns, times).encode()
    if kind == "parquet":
        return _parquet(table, times)
    return _geojson(table, volume, times)


def _parquet(table: Table, times: list[str]) -> bytes:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise NoFormat(
            501, "Parquet needs pyarrow on the server: install the extra cavecast[parquet], or take csv"
        ) from None
    made = {column.name: _listed(column, times) for column in table.columns}
    fields = [
        pyarrow.field(name, made[name].type, metadata=dict(column.attributes))
        for name, column in ((column.name, column) for column in table.columns)
    ]
    out = io.BytesIO()
    parquet.write_table(pyarrow.table(list(made.values()), schema=pyarrow.schema(fields)), out)
    return out.getvalue()


def _listed(column: Column, times: list[str]) -> Any:
    import pyarrow

    if column.steps is None:
        return pyarrow.array(column.values)
    return pyarrow.array([times[step] for step in column.steps.tolist()])


def _geojson(table: Table, volume: Volume, times: list[str]) -> bytes:
    if not volume.on_sphere:
        raise NoFormat(422, "this volume does not lie on the sphere, so its objects have no place in GeoJSON: take csv")
    rows = [dict(zip((c.name for c in table.columns), row, strict=True)) for row in _plain_rows(table, times)]
    places = [[_east(lon), lat] for lon, lat in zip(table.lon, table.lat, strict=True)]
    features: list[dict[str, Any]] = [
        {"type": "Feature", "geometry": {"type": "Point", "coordinates": place}, "properties": row}
        for place, row in zip(places, rows, strict=True)
    ]
    if table.track and len(places) > 1:
        lines = parted(places)
        features.insert(0, {
            "type": "Feature",
            "geometry": {"type": "MultiLineString", "coordinates": lines},
            "properties": {"track": True},
        })  # fmt: skip
    return msgspec.json.encode({"type": "FeatureCollection", "features": features})


def parted(places: list[list[float]]) -> list[list[list[float]]]:
    """A way over (lon, lat) in degrees, cut where it crosses the date line (RFC 7946, section 3.1.9)."""
    lines = [[places[0]]]
    for (lon0, lat0), (lon, lat) in pairwise(places):
        if abs(lon - lon0) <= 180:
            lines[-1].append([lon, lat])
            continue
        edge = 180.0 if lon0 > 0 else -180.0
        way = 360.0 - abs(lon - lon0)
        share = (edge - lon0) / math.copysign(way, edge) if way else 0.0
        at = lat0 + share * (lat - lat0)
        lines[-1].append([edge, at])
        lines.append([[-edge, at], [lon, lat]])
    return [line for line in lines if len(line) > 1]


def _plain_rows(table: Table, times: list[str]) -> list[tuple[Any, ...]]:
    columns: list[list[Any]] = []
    for column in table.columns:
        if column.steps is not None:
            columns.append([times[step] for step in column.steps.tolist()])
        else:
            columns.append(column.values.tolist())
    return list(zip(*columns, strict=True))


def _east(lon: float) -> float:
    """A longitude between −180 and 180 degrees."""
    return (lon + 180.0) % 360.0 - 180.0


def _places(rows: tuple[ObjectRow, ...] | tuple[LifeStep, ...]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return tuple(row.x for row in rows), tuple(row.y for row in rows)


def _steps(object_id: int, life: tuple[LifeStep, ...]) -> Steps:
    return Steps(
        object_id=np.full(len(life), object_id, np.uint64),
        step=_whole(life, "step"),
        voxels=_whole(life, "voxels"),
        area_km2=_maybe(life, "area_km2"),
        mean=_real(life, "mean"),
        max=_real(life, "max"),
        y=_real(life, "y"),
        x=_real(life, "x"),
    )


def _whole(rows: tuple[Any, ...], name: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.array([getattr(row, name) for row in rows], np.int64)


def _real(rows: tuple[Any, ...], name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([getattr(row, name) for row in rows], np.float64)


def _maybe(rows: tuple[Any, ...], name: str) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    """A column that a volume has for all objects or for none."""
    return None if any(getattr(row, name) is None for row in rows) else _real(rows, name)
