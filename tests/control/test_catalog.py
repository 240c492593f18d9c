"""What is asked before a run: files, segmenters, room; and its objects in the formats of other programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from streamer.control.object_tables import parted
from tests.control.parts import control_plane, ended, start, volume


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with control_plane() as (client, _):
        yield client


@pytest.fixture(scope="module")
def run(client: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The rivers, which cross the date line, with a store."""
    out = tmp_path_factory.mktemp("out") / "rivers.zarr"
    return ended(client, start(client, input="sample:rivers", view=False, out=str(out))["run_id"])


def detail(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    return str(answer.json()["detail"])


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_file_is_described_before_anything_is_started(client: httpx.Client, tmp_path: Path) -> None:
    found = client.post("/api/v1/datasets/inspect", json={"input": "sample:rivers"}).json()
    assert (found["variable"], found["units"], found["voxels"]) == ("ivt", "kg m-1 s-1", 240 * 64 * 128)
    time, lat, lon = found["dimensions"]
    assert (time["kind"], time["size"], time["first_time"]) == ("time", 240, "1959-01-02T03:00:00")
    assert (lat["kind"], lat["size"], lat["periodic"]) == ("latitude", 64, False)
    assert (lon["kind"], lon["size"], lon["periodic"], lon["first"]) == ("longitude", 128, True, 0)
    assert lon["spacing"] == pytest.approx(360 / 128)
    assert found["suggested"]["threshold"] == 500
    assert len(found["chunk"]) == 3
    assert found["on_sphere"] is True
    asked = {"input": str(volume(tmp_path / "x.npy", (4, 6, 8))), "spacing": [2, 1, 1], "chunk": [2, 3, 4]}
    plain = client.post("/api/v1/datasets/inspect", json=asked).json()
    assert plain["counts"] == [2, 2, 2]
    assert plain["dimensions"][0]["spacing"] == 2
    refused = client.post("/api/v1/datasets/inspect", json={"input": "/nowhere.nc"})
    assert "/nowhere.nc" in detail(refused, 422)
    assert "variables" not in refused.json()
    assert client.get("/api/v1/runs").json() == []


def test_the_variables_of_a_file_are_told_also_where_one_has_to_be_named(client: httpx.Client, tmp_path: Path) -> None:
    found = client.post("/api/v1/datasets/inspect", json={"input": "sample:flood2021"}).json()
    assert found["variable"] == "ivt"
    assert {"ivt", "iwv"} <= set(found["variables"])
    values = np.arange(24.0).reshape(2, 3, 4)
    path = tmp_path / "both.nc"
    xr.Dataset(dict.fromkeys(("u", "v"), (("a", "b", "c"), values))).to_netcdf(path)
    refused = client.post("/api/v1/datasets/inspect", json={"input": str(path)})
    assert "u, v" in detail(refused, 422)
    assert refused.json()["variables"] == ["u", "v"]
    named = client.post("/api/v1/datasets/inspect", json={"input": str(path), "variable": "v"}).json()
    assert (named["variable"], named["variables"]) == ("v", ["u", "v"])


def test_the_schemas_of_segmenters_judge_their_parameters(client: httpx.Client) -> None:
    found = {entry["name"]: entry for entry in client.get("/api/v1/segmenters").json()}
    assert {"connect", "ffn"} <= set(found)
    assert found["connect"]["package"].startswith("cavecast ")
    schema = found["connect"]["parameters"]
    jsonschema.validate({"threshold": 500.0, "connectivity": 6}, schema)
    for wrong in ({}, {"threshold": "high"}, {"threshold": 1, "connectivity": 7}, {"threshold": 1, "more": 2}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)


def test_it_says_what_is_free(client: httpx.Client, run: dict[str, Any]) -> None:
    assert run["state"] == "complete"
    found = client.get("/api/v1/system").json()
    assert (found["launcher"], found["runs"], found["workers"], found["note"]) == ("local", 0, 0, "")
    assert found["max_runs"] == 8
    assert found["cores"] >= 1
    assert "numpy" in found["packages"]


def test_tables_from_here_are_those_of_the_store(client: httpx.Client, run: dict[str, Any]) -> None:
    base = f"/api/v1/runs/{run['run_id']}/objects"
    answer = client.get(base, params={"format": "csv", "limit": 10_000})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert f'filename="{run["run_id"]}.csv"' in answer.headers["content-disposition"]
    few = client.get(base, params={"format": "csv", "limit": 2})
    assert (len(rows(few.text)), few.headers["objects-total"]) == (2, answer.headers["objects-total"])
    assert answer.headers["objects-total"] == str(run["status"]["objects"])
    ours = sorted(rows(answer.text), key=lambda row: int(row["object_id"]))
    stored = rows((Path(run["out"]) / "objects.csv").read_text())
    assert len(ours) == len(stored) == run["status"]["objects"]
    assert ours[0].keys() == stored[0].keys()
    for mine, theirs in zip(ours, stored, strict=True):
        for name, text in theirs.items():
            try:
                assert float(mine[name]) == pytest.approx(float(text), rel=1e-9, abs=1e-9), name
            except ValueError:
                assert mine[name] == text, name
    columns = parquet.read_table(io.BytesIO(client.get(base, params={"format": "parquet", "limit": 5}).content))
    assert columns.num_rows == 5
    assert columns.column_names[0] == "object_id"
    assert columns.schema.field("mean").metadata[b"units"] == b"kg m-1 s-1"
    life = client.get(f"{base}/{ours[0]['object_id']}", params={"format": "csv"})
    kept = [row for row in rows((Path(run["out"]) / "object_steps.csv").read_text())
            if row["step_object_id"] == ours[0]["object_id"]]  # fmt: skip
    assert [row["step_voxels"] for row in rows(life.text)] == [row["step_voxels"] for row in kept]


def test_objects_and_their_lives_say_when_they_were(client: httpx.Client, run: dict[str, Any], tmp_path: Path) -> None:
    base = f"/api/v1/runs/{run['run_id']}/objects"
    page = client.get(base, params={"limit": 10_000}).json()["objects"]
    dated = {row["object_id"]: row for row in rows(client.get(base, params={"format": "csv", "limit": 10_000}).text)}
    for row in page:
        same = dated[str(row["id"])]
        assert (row["first_time"], row["last_time"]) == (same["first_time"], same["last_time"])
    life = client.get(f"{base}/{page[0]['id']}").json()["life"]
    assert (life[0]["time"], life[-1]["time"]) == (page[0]["first_time"], page[0]["last_time"])
    timeless = start(client, input=str(volume(tmp_path / "x.npy")), parameters={"threshold": 0.5}, view=False)
    of_it = f"/api/v1/runs/{ended(client, timeless['run_id'])['run_id']}/objects"
    first = client.get(of_it, params={"limit": 1}).json()["objects"][0]
    assert "first_time" not in first, "a volume without a time axis has no dates"
    assert "time" not in client.get(f"{of_it}/{first['id']}").json()["life"][0]


def test_courses_are_lives_in_few_points(client: httpx.Client, run: dict[str, Any]) -> None:
    base = f"/api/v1/runs/{run['run_id']}"
    ids = [row["id"] for row in client.get(f"{base}/objects", params={"limit": 3}).json()["objects"]]
    found = client.get(f"{base}/courses", params={"id": [*ids, 999_999_999]}).json()
    assert sorted(one["id"] for one in found) == sorted(ids), "what is not there is left out"
    for one in found:
        life = client.get(f"{base}/objects/{one['id']}").json()["life"]
        assert (one["first_step"], one["last_step"]) == (life[0]["step"], life[-1]["step"])
        assert len(one["size"]) == len(one["mean"]) == min(32, one["last_step"] - one["first_step"] + 1)
        if len(life) == len(one["size"]):
            assert one["size"] == pytest.approx([step["area_km2"] for step in life], rel=1e-3)
            assert one["mean"] == pytest.approx([step["mean"] for step in life], rel=1e-3)
    assert client.get(f"{base}/courses", params={"id": list(range(1, 66))}).status_code == 422
    assert client.get(f"{base}/courses", params={"id": [0]}).status_code == 422
    assert client.get(f"{base}/courses").status_code == 422


def test_tracks_are_cut_at_the_date_line(client: httpx.Client, run: dict[str, Any]) -> None:
    base = f"/api/v1/runs/{run['run_id']}/objects"
    answer = client.get(base, params={"format": "geojson"})
    assert answer.headers["content-type"] == "application/geo+json"
    features = answer.json()["features"]
    assert len(features) == run["status"]["objects"]
    for feature in features:
        lon, lat = feature["geometry"]["coordinates"]
        assert -180 <= lon < 180
        assert -90 <= lat <= 90
    longest = max(features, key=lambda one: float(one["properties"]["lifetime_h"]))["properties"]["object_id"]
    track, *points = client.get(f"{base}/{longest}", params={"format": "geojson"}).json()["features"]
    assert track["geometry"]["type"] == "MultiLineString"
    assert len(points) > 2
    for line in track["geometry"]["coordinates"]:
        assert all(abs(a[0] - b[0]) <= 180 for a, b in pairwise(line))


@given(st.lists(st.tuples(st.floats(-180, 179.9), st.floats(-90, 90)), min_size=2, max_size=20))
def test_no_line_of_a_track_goes_round_the_globe(way: list[tuple[float, float]]) -> None:
    lines = parted([[lon, lat] for lon, lat in way])
    for line in lines:
        assert len(line) > 1
        assert all(abs(a[0] - b[0]) <= 180 for a, b in pairwise(line))
        assert all(-180 <= lon <= 180 and -90 <= lat <= 90 for lon, lat in line)
    inner = [place for line in lines for place in line if abs(place[0]) != 180]
    assert [list(place) for place in way if abs(place[0]) != 180] == inner


def test_what_has_no_place_on_the_globe_is_no_geojson(client: httpx.Client, tmp_path: Path) -> None:
    path = volume(tmp_path / "x.npy", (4, 6, 8))
    run = ended(client, start(client, input=str(path), threshold=0.5, view=False, workers=1)["run_id"])
    base = f"/api/v1/runs/{run['run_id']}/objects"
    assert "does not lie on the sphere" in detail(client.get(base, params={"format": "geojson"}), 422)
    assert "format" in detail(client.get(base, params={"format": "xml"}), 422)
    assert len(rows(client.get(base, params={"format": "csv"}).text)) == run["status"]["objects"]
