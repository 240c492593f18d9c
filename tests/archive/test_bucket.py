"""A run archived to a bucket: a real S3 server on loopback, the real process, the same store as in a folder."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from urllib.request import Request, urlopen

import numpy as np
import pytest
import xarray

from streamer.archive.check import check_store
from streamer.archive.place import ArchiveError, place_of
from tests.archive.parts import DEADLINE_S, line_of, part, streamer, work
from tests.archive.test_archive import globe_run
from tests.workers.reference import label_whole

SECRET = "a-secret-that-nobody-sees"  # noqa: S105
BUCKET = "runs"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An S3 server's address, with one bucket."""
    command = [sys.executable, "-u", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    reader = None
    try:
        assert process.stderr is not None
        found = None
        said: list[str] = []
        while found is None:
            line = process.stderr.readline()
            assert line, f"the S3 server ended: {''.join(said)}"
            said.append(line)
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
        address = found.group()
        # Its lines about requests are to fill no pipe.
        reader = Thread(target=process.stderr.read)
        reader.start()
        request = Request(f"{address}/{BUCKET}", method="PUT")  # noqa: S310
        urlopen(request, timeout=DEADLINE_S).close()  # noqa: S310
        yield address
    finally:
        process.kill()
        process.wait(DEADLINE_S)
        if reader is not None:
            reader.join(DEADLINE_S)
        assert process.stderr is not None
        process.stderr.close()


@pytest.fixture
def credentials(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in (("ACCESS_KEY_ID", "somebody"), ("SECRET_ACCESS_KEY", SECRET), ("REGION", "us-east-1"),
                        ("ENDPOINT_URL", endpoint)):  # fmt: skip
        monkeypatch.setenv(f"AWS_{name}", value)
    return endpoint


def opened(url: str) -> xarray.Dataset:
    place = place_of(url)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found: xarray.Dataset = xarray.open_zarr(place.zarr).load()
    return found


@pytest.mark.long
@pytest.mark.usefixtures("credentials")
@pytest.mark.parametrize("shard", ["1,1,1", "2,2,2"])
def test_a_run_goes_to_a_bucket_though_its_archive_is_killed(tmp_path: Path, shard: str) -> None:
    spec, chunks, field = globe_run()
    url = f"s3://{BUCKET}/{tmp_path.name}/run.zarr"
    whole = label_whole(field, 1.0, 26, spec.grid.periodic)
    arguments = ("archive", "--out", url, "--shard", shard)
    with streamer(tmp_path, spec) as at:
        with part(*arguments, "--feed", at["feed"]) as process:
            assert line_of(process) == {"ready": "archive"}
            work(at["ingest"], chunks, count=7)
            os.kill(process.pid, signal.SIGKILL)
            process.wait(DEADLINE_S)
        with part(*arguments, "--feed", at["feed"]) as process:
            assert line_of(process) == {"ready": "archive"}
            work(at["ingest"], chunks)
            assert line_of(process) == {
                "archive": "complete", "out": url, "objects": len(np.unique(whole)) - 1, "chunks": spec.grid.size,
            }  # fmt: skip
            assert process.wait(DEADLINE_S) == 0
            assert process.stderr is not None
            assert SECRET not in process.stderr.read()
    store = opened(url)
    assert np.array_equal(store["labels"].values, whole.astype(np.int64))
    place = place_of(url)
    assert check_store(place).chunks == spec.grid.size
    assert place.names(".staging") == []
    assert (place.get("objects.csv") or b"").startswith(b"object_id,")


@pytest.mark.long
@pytest.mark.usefixtures("credentials")
def test_a_bucket_is_a_place_like_a_folder(tmp_path: Path) -> None:
    for place in (place_of(str(tmp_path / "a.zarr")), place_of(f"s3://{BUCKET}/{tmp_path.name}/a.zarr")):
        assert place.names("") == []
        assert place.get("local/c/0") is None
        place.set("local/c/0", b"abc")
        place.set("local/c/0", b"abcd")
        place.set("zarr.json", b"{}")
        assert place.get("local/c/0") == b"abcd"
        assert place.get("local/c") is None
        assert (place.names(""), place.names("local"), place.names("local/c")) == (["local", "zarr.json"], ["c"], ["0"])
        place.delete("local/c/1")
        place.delete("zarr.json")
        place.flush()
        place.clear("nothing")
        place.clear("local")
        assert place.get("local/c/0") is None
        place.close()


@pytest.mark.long
@pytest.mark.usefixtures("credentials")
def test_a_bucket_that_is_not_there_is_named_and_no_secret_is(tmp_path: Path) -> None:
    place = place_of(f"s3://not-made/{tmp_path.name}.zarr")
    with pytest.raises(
        ArchiveError, match=r"s3://not-made/.* cannot be used \(FileNotFoundError: .*look at the bucket"
    ) as why:
        place.set("zarr.json", b"{}")
    assert SECRET not in str(why.value)


@pytest.mark.parametrize("out", ["s3://", "gs://bucket/run.zarr", "http://host/run.zarr"])
def test_no_other_place_is_taken(out: str) -> None:
    with pytest.raises(ArchiveError, match="is no place for a store: give a folder, or s3://BUCKET"):
        place_of(out)
