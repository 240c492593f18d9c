"""However a volume is cut, whatever the order of its chunks: the objects are those of the whole volume."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from streamer.assembly import Assembly, Columns
from streamer.wire.block import PARTS, unpack_footprint, unpack_ids, unpack_stats
from streamer.wire.codec import compress, decompress
from streamer.wire.grid import Flags, Grid, Triple, triple
from streamer.wire.header import Refused
from streamer.wire.messages import Commit
from streamer.wire.volume import Keep, Volume
from tests.assembly.expected import centre, close, x_range
from tests.assembly.pieces import Areas, Field, Piece, assemble, connect, parts_of, pieces, provisional
from tests.workers.reference import (
    ObjectStatistics,
    globe_areas_km2,
    globe_volume,
    label_whole,
    object_statistics,
    plain_volume,
)

ALL = Keep()


@st.composite
def cases(draw: st.DrawFn) -> tuple[Field, Volume, Grid, int, Areas | None, list[int]]:
    shape = triple(tuple(draw(st.integers(1, 7)) for _ in range(3)))
    chunk = triple(tuple(draw(st.integers(1, n)) for n in shape))
    globe = draw(st.booleans())
    z, y, x = (draw(st.booleans()) for _ in range(3))
    periodic: Flags = (False, False, x) if globe else (z, y, x)
    volume = globe_volume(shape) if globe else plain_volume(shape)
    seed, density = draw(st.integers(0, 2**32 - 1)), draw(st.sampled_from((0.1, 0.25, 0.4, 0.6, 0.9, 1.0)))
    rng = np.random.default_rng(seed)
    field = np.where(rng.random(shape) < density, rng.uniform(1, 3, shape), rng.choice([0.0, np.nan], shape))
    grid = Grid(shape, chunk, periodic)
    areas = globe_areas_km2(volume) if globe else None
    return field, volume, grid, draw(st.sampled_from((6, 18, 26))), areas, draw(st.permutations(range(grid.size)))


@given(cases())
def test_chunks_in_any_order_give_the_objects_of_the_whole_volume(
    case: tuple[Field, Volume, Grid, int, Areas | None, list[int]],
) -> None:
    field, volume, grid, connectivity, areas, order = case
    made = pieces(field, volume, grid, connect(1.0, connectivity), areas)
    assembly = Assembly(volume, grid, ALL)
    spoken, judged = provisional(made, grid), {}
    for chunk in order:
        outcome = assembly.commit(made[chunk][0], parts_of(made[chunk]))
        for speaks, gone in outcome.merges.tolist():
            assert speaks < gone
            spoken[spoken == gone] = speaks
            assert gone not in judged, "an object that was final has merged"
        for name, kept in outcome.verdicts.tolist():
            assert kept == 1
            assert name not in judged, "an object was judged twice"
            judged[name] = chunk
    whole = label_whole(field, 1.0, connectivity, grid.periodic)
    assert np.array_equal(assembly.resolve(provisional(made, grid)), whole)
    assert np.array_equal(spoken, whole), "who only hears the merges knows as much"
    expected = object_statistics(whole, field, volume, grid.periodic, areas)
    assert sorted(judged) == sorted(expected), "every object is judged once"
    assert assembly.objects == len(expected)
    assert assembly.seams_held == 0
    assert_table(assembly.columns(), expected, volume, grid, areas)


def assert_table(
    table: Columns, expected: dict[int, ObjectStatistics], volume: Volume, grid: Grid, areas: Areas | None
) -> None:
    hours = volume.axes[0].widths.tolist() if volume.has_time else []
    assert table.object_id.tolist() == list(expected)
    assert table.final.all()
    life = iter(range(len(table.steps.object_id)))
    for i, (name, found) in enumerate(expected.items()):
        steps = list(found.steps.values())
        first, last = min(found.steps), max(found.steps)
        assert (table.first_step[i], table.last_step[i]) == (first, last)
        assert table.voxels[i] == sum(s.voxels for s in steps)
        assert close(table.mean[i], math.fsum(s.sum for s in steps) / sum(s.voxels for s in steps))
        assert table.max[i] == max(s.max for s in steps)
        assert (table.y_first[i], table.y_last[i]) == (min(s.y_min for s in steps), max(s.y_max for s in steps))
        assert (table.x_first[i], table.x_last[i]) == x_range(found, grid.shape[2], grid.periodic[2])
        if table.lifetime_h is None or table.footprint_km2 is None or table.area_time_km2_h is None:
            assert areas is None
        else:
            assert close(table.lifetime_h[i], math.fsum(hours[first : last + 1]))
            assert close(table.footprint_km2[i], math.fsum(found.footprint.values()))
            whole = math.fsum(s.area_km2 * hours[at] for at, s in found.steps.items())
            assert close(table.area_time_km2_h[i], whole)
        assert_centre(table.y[i], table.x[i], [*steps], volume, grid.periodic)
        for at, step in found.steps.items():
            row = next(life)
            assert (table.steps.object_id[row], table.steps.step[row]) == (name, at)
            assert table.steps.voxels[row] == step.voxels
            assert close(table.steps.mean[row], step.sum / step.voxels)
            assert table.steps.max[row] == step.max
            assert table.steps.area_km2 is None or close(table.steps.area_km2[row], step.area_km2)
            assert_centre(table.steps.y[row], table.steps.x[row], [step], volume, grid.periodic)
    assert next(life, None) is None, "rows of objects that are none"


def assert_centre(y: float, x: float, steps: list, volume: Volume, periodic: Flags) -> None:  # type: ignore[type-arg]
    there = centre(steps, volume, periodic)
    spans = [float(axis.widths.sum()) for axis in volume.axes]
    weight = math.fsum(step.weight for step in steps)
    if volume.on_sphere:
        # A direction is only known as well as the sum of unit vectors is long.
        long = math.hypot(*(math.fsum(step.moment[i] for step in steps) for i in range(3))) / weight
        flat = math.hypot(*(math.fsum(step.moment[i] for step in steps) for i in range(2))) / weight
        assert long < 1e-5 or close(y, there.y)
        assert flat < 1e-5 or close(x, there.x, 360)
        return
    for value, want, axis, at in ((y, there.y, 1, 0), (x, there.x, 2, 2)):
        long = math.hypot(*(math.fsum(step.moment[at + i] for step in steps) for i in range(2))) / weight
        assert (periodic[axis] and long < 1e-5) or close(value, want, spans[axis] if periodic[axis] else 0.0)


@given(cases(), st.data())
@settings(max_examples=60)
def test_objects_beside_failed_chunks_are_judged_and_the_order_does_not_show(
    case: tuple[Field, Volume, Grid, int, Areas | None, list[int]], data: st.DataObject
) -> None:
    field, volume, grid, connectivity, areas, order = case
    made = pieces(field, volume, grid, connect(1.0, connectivity), areas)
    failed = data.draw(st.sets(st.sampled_from(range(grid.size))))
    seen = []
    for turn in (order, range(grid.size)):
        assembly = Assembly(volume, grid, Keep(core_threshold=2.0))
        verdicts: dict[int, int] = {}
        for chunk in turn:
            if chunk in failed:
                outcome = assembly.fail(chunk)
            else:
                outcome = assembly.commit(made[chunk][0], parts_of(made[chunk]))
            verdicts |= dict(outcome.verdicts.tolist())
        assert assembly.seams_held == 0
        assert assembly.objects == sum(verdicts.values())
        seen.append((verdicts, assembly.resolve(provisional(made, grid)).tolist(), assembly.columns()))
    assert seen[0][:2] == seen[1][:2]
    assert np.array_equal(seen[0][2].object_id, seen[1][2].object_id)
    assert np.array_equal(seen[0][2].voxels, seen[1][2].voxels)
    assert (seen[0][2].max >= 2).all()


@given(cases())
@settings(max_examples=40)
def test_a_table_that_is_read_all_the_time_ends_as_one_that_is_read_once(
    case: tuple[Field, Volume, Grid, int, Areas | None, list[int]],
) -> None:
    field, volume, grid, connectivity, areas, order = case
    made = pieces(field, volume, grid, connect(1.0, connectivity), areas)
    often, once = Assembly(volume, grid, ALL), assemble(Assembly(volume, grid, ALL), made, order)
    for chunk in order:
        often.commit(made[chunk][0], parts_of(made[chunk]))
        page = often.page(1 << 20)
        assert len(page.objects) == page.total == often.objects
        assert sum(row.voxels for row in page.objects) == often.columns().steps.voxels.sum()
        assert all(a.voxels >= b.voxels for a, b in pairwise(page.objects))
    left, right = often.columns(), once.columns()
    assert np.array_equal(left.object_id, right.object_id)
    assert np.allclose(left.mean, right.mean, rtol=1e-9)
    assert np.array_equal(left.steps.voxels, right.steps.voxels)


def globe_with(shape: Triple, on: list[Triple], value: float = 2.0) -> tuple[Field, Volume, Areas]:
    field = np.zeros(shape)
    for at in on:
        field[at] = value
    volume = globe_volume(shape)
    return field, volume, globe_areas_km2(volume)


def run(field: Field, volume: Volume, areas: Areas, chunk: Triple, keep: Keep = ALL) -> tuple[Assembly, list[Piece]]:
    grid = Grid(triple(field.shape), chunk, (False, False, True))
    made = pieces(field, volume, grid, connect(1.0), areas)
    return assemble(Assembly(volume, grid, keep), made, range(grid.size)), made


def test_eight_three_hourly_steps_last_a_day() -> None:
    field, volume, areas = globe_with((10, 4, 8), [(t, 1, 2) for t in range(1, 9)])
    (found,) = run(field, volume, areas, (4, 4, 4))[0].page(10).objects
    assert (found.first_step, found.last_step, found.lifetime_h) == (1, 8, 24.0)
    assert run(field, volume, areas, (4, 4, 4), Keep(min_duration_h=24))[0].objects == 1
    assert run(field, volume, areas, (4, 4, 4), Keep(min_duration_h=24.1))[0].objects == 0


def test_an_object_on_the_seam_has_its_centroid_there_and_not_on_the_other_side_of_the_globe() -> None:
    field, volume, areas = globe_with((1, 4, 8), [(0, 1, 7), (0, 1, 0), (0, 1, 6), (0, 1, 1)])
    (found,) = run(field, volume, areas, (1, 4, 4))[0].page(10).objects
    assert found.x == pytest.approx(337.5)
    assert found.x_range == (6, 1)
    assert found.footprint_km2 == pytest.approx(4 * areas[1, 0])


def test_a_centroid_at_the_beginning_of_the_axis_stays_there() -> None:
    field, volume, areas = globe_with((1, 4, 8), [(0, 1, 7), (0, 1, 0), (0, 1, 1)])
    (found,) = run(field, volume, areas, (1, 4, 4))[0].page(10).objects
    assert found.x == pytest.approx(0.0, abs=1e-8)


def test_a_dropped_object_is_gone_from_the_table_and_its_id_resolves_to_background() -> None:
    field, volume, areas = globe_with((2, 4, 8), [(0, 0, 0), (1, 2, 4)])
    field[1, 2, 4] = 5.0
    assembly, made = run(field, volume, areas, (1, 2, 4), Keep(core_threshold=5.0))
    (kept,) = assembly.page(10).objects
    assert (kept.id, kept.max) == (1 + 32 + 16 + 4, 5.0)
    assert assembly.resolve(np.array([1, kept.id, 2, 0, 10**12], np.uint64)).tolist() == [0, kept.id, 0, 0, 0]
    assert assembly.page(10, 1).objects == ()
    assert assembly.columns().object_id.tolist() == [kept.id]
    assert assembly.chunk_ids(0).tolist() == [0, 0]
    assert made[0][0].own == 1


def test_a_page_of_one_object_tells_its_life_also_by_an_id_that_is_gone() -> None:
    field, volume, areas = globe_with((4, 4, 8), [(t, 1, 2) for t in range(4)])
    assembly, _ = run(field, volume, areas, (1, 4, 8))
    for name in (1 + 8 + 2, 1 + 2 * 32 + 8 + 2):
        page = assembly.page(5, name)
        assert [row.id for row in page.objects] == [11]
        assert [(step.step, step.voxels, step.max) for step in page.life] == [(t, 1, 2.0) for t in range(4)]
    assert assembly.page(5, 12).objects == ()


def test_only_an_end_where_the_volume_was_cut_off_is_an_edge() -> None:
    inner, volume, areas = globe_with((5, 4, 8), [(2, 1, 0)])
    assert not run(inner, volume, areas, (5, 4, 8))[0].page(1).objects[0].touches_edge
    early, *_ = globe_with((5, 4, 8), [(0, 1, 0)])
    assert run(early, volume, areas, (5, 4, 8))[0].page(1).objects[0].touches_edge


def test_an_object_is_not_judged_while_a_chunk_that_can_touch_it_is_pending() -> None:
    field, volume, areas = globe_with((6, 2, 2), [(0, 0, 0), (5, 0, 0)])
    grid = Grid((6, 2, 2), (1, 2, 2))
    made = pieces(field, volume, grid, connect(1.0), areas)
    assembly = Assembly(volume, grid, ALL)
    seen = [assembly.commit(made[chunk][0], parts_of(made[chunk])).verdicts.tolist() for chunk in range(6)]
    assert seen == [[], [[1, 1]], [], [], [], [[1 + 5 * 4, 1]]]
    again = Assembly(volume, grid, ALL)
    again.commit(made[0][0], parts_of(made[0]))
    assert not again.page(1).objects[0].final
    assert again.fail(1).verdicts.tolist() == [[1, 1]]
    assert again.page(1).objects[0].final


def test_seams_are_kept_for_the_front_only() -> None:
    shape: Triple = (40, 4, 4)
    rng = np.random.default_rng(1)
    field = rng.random(shape)
    grid = Grid(shape, (1, 2, 2))
    made = pieces(field, plain_volume(shape), grid, connect(0.5))
    assembly = Assembly(plain_volume(shape), grid, ALL)
    held = 0
    for commit, payloads in made:
        assembly.commit(commit, payloads)
        held = max(held, assembly.seams_held)
    assert held <= 8, "two layers of four chunks"


def rivers() -> tuple[Field, Volume]:
    import xarray

    path = Path(__file__).parents[2] / "inference_workers" / "samples" / "rivers.nc"
    with xarray.open_dataset(path) as dataset:
        return dataset["ivt"].values, globe_volume((240, 64, 128))


@pytest.mark.parametrize(("closes", "objects"), [(False, 485), (True, 469)])
def test_rivers_in_chunks_of_eight_are_485_objects_and_469_where_longitude_closes(closes: bool, objects: int) -> None:
    field, volume = rivers()
    grid = Grid((240, 64, 128), (8, 8, 8), (False, False, closes))
    made = pieces(field, volume, grid, connect(400.0), globe_areas_km2(volume))
    order = np.random.default_rng(7).permutation(grid.size).tolist()
    assembly = assemble(Assembly(volume, grid, ALL), made, order)
    assert assembly.objects == len(assembly.page(1000).objects) == objects
    whole = label_whole(field, 400.0, 26, grid.periodic)
    assert np.array_equal(assembly.resolve(provisional(made, grid)), whole)


def sound() -> tuple[Assembly, Commit, list[bytes]]:
    field, volume, areas = globe_with((2, 4, 8), [(0, 0, 0), (1, 2, 4), (0, 3, 3), (1, 2, 2)])
    grid = Grid((2, 4, 8), (2, 2, 4))
    commit, payloads = pieces(field, volume, grid, connect(1.0), areas)[0]
    return Assembly(volume, grid, ALL), commit, payloads


def test_a_chunk_is_taken_once() -> None:
    assembly, commit, payloads = sound()
    assembly.commit(commit, payloads)
    with pytest.raises(Refused, match="chunk 0 is committed already"):
        assembly.commit(commit, payloads)
    with pytest.raises(Refused, match="chunk 0 is committed already"):
        assembly.fail(0)
    assembly.fail(1)
    with pytest.raises(Refused, match="chunk 1 has failed already"):
        assembly.fail(1)
    with pytest.raises(Refused, match="chunk 4 is not one of the grid's 4"):
        assembly.fail(4)


def spoilt(commit: Commit, payloads: list[bytes], **changes: object) -> Piece:
    """The chunk with other arrays in place of some of its own."""
    fields: dict[str, object] = {}
    for name, value in changes.items():
        if name in PARTS:
            assert isinstance(value, np.ndarray)
            payloads = [compress(value) if part == name else raw for part, raw in zip(PARTS, payloads, strict=True)]
        else:
            fields[name] = value
    return msgspec.structs.replace(commit, **fields), payloads


def test_a_chunk_that_contradicts_itself_is_refused_in_words_and_changes_nothing() -> None:
    assembly, commit, payloads = sound()
    ids, stats = unpack_ids(commit, payloads[2]), unpack_stats(commit, payloads[3])
    seam = np.frombuffer(decompress(payloads[1], 4 * 36, "seam"), "<u4")
    cells = unpack_footprint(commit, payloads[4])
    assert cells is not None
    assert commit.own == 1
    assert commit.components == 3

    def row(**changes: object) -> NDArray[np.void]:
        wrong = stats.copy()
        for name, value in changes.items():
            wrong[name] = value
        return wrong

    def footprint(cell: int, area: float) -> NDArray[np.uint8]:
        parts = (cells.counts, np.full(1, cell, "<u4"), np.full(1, area, "<f8"))
        return np.frombuffer(b"".join(part.tobytes() for part in parts), np.uint8)

    low, high = seam.copy(), seam.copy()
    low[0], high[-1] = 2, 4
    for changes, reason in (
        ({"components": 0}, "1 own labels of 0"),
        ({"seam": low}, "label 2 on a face of the core, own are 1…1"),
        ({"seam": high}, "label 4 in the pad, there are 3"),
        ({"seam": seam[1:]}, "states 140 bytes where 144 belong"),
        ({"ids": ids * 0}, "an id that is no voxel of the volume"),
        ({"ids": ids + 10**9}, "an id that is no voxel of the volume"),
        ({"ids": ids + 4}, "an id that is no voxel of the core"),
        ({"stats": row(label=2)}, "statistics of 1 labels, own are 1…1"),
        ({"stats": row(step=2)}, "statistics whose step to step leave the core"),
        ({"stats": row(y_max=2)}, "statistics whose y_min to y_max leave the core"),
        ({"stats": row(x_min=1, x_max=0)}, "statistics whose x_min to x_max leave the core"),
        ({"stats": row(x_min_high=10**6)}, "statistics whose x_min_high leaves the core (0 to 3)"),
        ({"stats": row(x_max_low=-5)}, "statistics whose x_max_low leaves the core (0 to 3)"),
        ({"stats": row(voxels=0)}, "statistics of no voxels"),
        ({"stats": row(sum=math.nan)}, "statistics whose sum is not a number"),
        ({"stats": row(moment=math.inf)}, "statistics whose moment is not finite"),
        ({"footprint": footprint(32, 1.0)}, "a footprint with cells that are not the core's"),
        ({"footprint": footprint(4, 1.0)}, "a footprint with cells that are not the core's"),
        ({"footprint": footprint(0, -1.0)}, "a footprint with an area that is none"),
    ):
        with pytest.raises(Refused) as refused:
            assembly.commit(*spoilt(commit, payloads, **changes))
        assert str(refused.value).startswith("chunk 0: ")
        assert reason in str(refused.value)
    assert assembly.objects == 0
    assert assembly.commit(commit, payloads).merges.tolist() == []
    assert assembly.objects == 1
