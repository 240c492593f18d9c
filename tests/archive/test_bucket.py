"""A run archived to a bucket: a real S3 server on loopback, the real process, the same store as in a folder."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Thread
from urllib.request import Request, urlopen

import numpy as np
import pytest
import xarray

from streamer.archive.check import check_store
from streamer.archive.place import ArchiveError, place_of
from tests.archive.parts import DEADLINE_S, line_of, note_of, part, streamer, wait_until, work
from tests.archive.test_archive import globe_run
from tests.control.parts import CAVECAST, environment, volume
from tests.ending import line_within
from tests.workers.reference import label_whole

SECRET = "a-secret-that-nobody-sees"
BUCKET = "runs"


@contextmanager
def s3_server(**variables: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """An S3 server: its address and its process."""
    command = [sys.executable, "-u", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={**os.environ, **variables}
    )
    reader = None
    try:
        assert process.stderr is not None
        found = None
        said: list[str] = []
        while found is None:
            line = line_within(process.stderr)
            assert line, f"the S3 server ended: {''.join(said)}"
            said.append(line)
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
        # Its lines about requests are to fill no pipe.
        reader = Thread(target=process.stderr.read)
        reader.start()
        yield found.group(), process
    finally:
        process.kill()
        process.wait(DEADLINE_S)
        if reader is not None:
            reader.join(DEADLINE_S)
        assert process.stderr is not None
        process.stderr.close()


def ask(method: str, address: str) -> None:
    urlopen(Request(address, method=method), timeout=DEADLINE_S).close()  # noqa: S310


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An S3 server's address, with one bucket."""
    with s3_server() as (address, _):
        ask("PUT", f"{address}/{BUCKET}")
        yield address


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
        ArchiveError, match=r"s3://not-made/.* cannot be used: there is no bucket not-made: make it first"
    ) as why:
        place.set("zarr.json", b"{}")
    assert SECRET not in str(why.value)


@pytest.mark.parametrize("out", ["s3://", "gs://bucket/run.zarr", "http://host/run.zarr"])
def test_no_other_place_is_taken(out: str) -> None:
    with pytest.raises(ArchiveError, match="is no place for a store: give a folder, or s3://BUCKET"):
        place_of(out)


def run(folder: Path, out: str, *options: str) -> subprocess.CompletedProcess[str]:
    """``cavecast run`` of a small volume."""
    wish = ("--threshold", "0.55", "--chunk", "4,8,8", "--no-view", "--json", "--out", out)
    return subprocess.run(
        [CAVECAST, "run", str(volume(folder / "blobs.npy")), *wish, *options],
        capture_output=True, text=True, env=environment(TMPDIR=str(folder)), check=False, timeout=2 * DEADLINE_S,
    )  # fmt: skip


@pytest.mark.long
@pytest.mark.usefixtures("credentials")
def test_a_whole_run_goes_to_a_bucket_and_a_second_one_does_not_take_its_place(tmp_path: Path) -> None:
    url = f"s3://{BUCKET}/{tmp_path.name}/whole.zarr"
    done = run(tmp_path, url, "--shard", "2,3,3")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["out"] == url
    place = place_of(url)
    assert check_store(place) == ("complete", found["objects"], found["chunks"])
    assert len(opened(url)["object_id"]) == found["objects"] > 0
    assert SECRET not in done.stdout + done.stderr
    again = run(tmp_path, url)
    assert (again.returncode, again.stdout) == (2, "")
    assert f"cavecast: {url} holds the store of run {found['run_id']}: remove it" in again.stderr
    assert check_store(place).chunks == found["chunks"]


@pytest.mark.long
@pytest.mark.usefixtures("credentials")
def test_a_run_whose_bucket_cannot_be_written_does_not_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(out: str) -> str:
        done = run(tmp_path, out)
        assert (done.returncode, done.stdout) == (2, "")
        assert "run starts" not in done.stderr
        assert SECRET not in done.stderr
        (said,) = [line for line in done.stderr.splitlines() if line.startswith("cavecast: ")]
        return said

    sentence = refused("s3://not-made/x.zarr")
    assert "there is no bucket not-made: make it first" in sentence
    with s3_server(INITIAL_NO_AUTH_ACTION_COUNT="1") as (address, process):
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        ask("PUT", f"{address}/{BUCKET}")  # from now on it wants to know who asks
        sentence = refused(f"s3://{BUCKET}/x.zarr")
        assert "the credentials of the environment are refused (InvalidAccessKeyId)" in sentence
        process.kill()
        process.wait(DEADLINE_S)
        assert f"{address} does not answer" in refused(f"s3://{BUCKET}/x.zarr")


class Door:
    """A way to a server that may be led elsewhere, or to nobody."""

    def __init__(self) -> None:
        self.target: tuple[str, int] | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: list[socket.socket] = []
        self._threads = [Thread(target=self._serve)]
        self._threads[0].start()

    def _serve(self) -> None:
        while True:
            try:
                here, _ = self._listener.accept()
            except OSError:
                return
            with suppress(OSError):
                if self.target is None:
                    here.close()
                    continue
                there = socket.create_connection(self.target)
                self._open += [here, there]
                for one, other in ((here, there), (there, here)):
                    self._threads.append(Thread(target=self._carry, args=(one, other)))
                    self._threads[-1].start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while raw := one.recv(1 << 16):
                other.sendall(raw)
        for end in (one, other):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def shut(self) -> None:
        """Nobody comes through, and who is in it is thrown out."""
        self.target = None
        for end in self._open:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.shut()
        for thread in self._threads:
            thread.join(DEADLINE_S)
        for end in self._open:
            end.close()


def port_of(address: str) -> tuple[str, int]:
    return "127.0.0.1", int(address.rpartition(":")[2])


@pytest.mark.long
@pytest.mark.parametrize("shard", ["1,1,1", "2,2,2"])
def test_a_bucket_that_is_killed_in_mid_run_has_all_of_it_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shard: str
) -> None:
    spec, chunks, field = globe_run()
    url, door = f"s3://{BUCKET}/run.zarr", Door()
    for name, value in (("ACCESS_KEY_ID", "somebody"), ("SECRET_ACCESS_KEY", SECRET), ("REGION", "us-east-1"),
                        ("ENDPOINT_URL", door.address)):  # fmt: skip
        monkeypatch.setenv(f"AWS_{name}", value)
    # The server keeps all in memory; what it was told is on disk, and is told to it again after its end.
    kept = {"MOTO_ENABLE_RECORDING": "1", "MOTO_RECORDER_FILEPATH": str(tmp_path / "recording")}
    try:
        with streamer(tmp_path, spec) as at, ExitStack() as parts:
            with s3_server(**kept) as (address, server):
                door.target = port_of(address)
                ask("PUT", f"{door.address}/{BUCKET}")
                process = parts.enter_context(part("archive", "--out", url, "--shard", shard, "--feed", at["feed"]))
                assert line_of(process) == {"ready": "archive"}
                work(at["ingest"], chunks, count=5)
                door.shut()
                server.kill()
                server.wait(DEADLINE_S)
            work(at["ingest"], chunks)
            note = wait_until(lambda: note_of(at["feed"]), "the archive's trouble is shown")
            assert note.startswith("the archive stands still, and the log keeps what it lacks: ")
            assert f"{url} cannot be used: {door.address} does not answer" in note
            with s3_server(**kept) as (address, _):
                ask("POST", f"{address}/moto-api/recorder/replay-recording")
                door.target = port_of(address)
                assert line_of(process)["chunks"] == spec.grid.size
                assert process.wait(DEADLINE_S) == 0
                place = place_of(url)
                assert check_store(place).chunks == spec.grid.size
                whole = label_whole(field, 1.0, 26, spec.grid.periodic)
                assert np.array_equal(opened(url)["labels"].values, whole.astype(np.int64))
                place.close()
    finally:
        door.close()
