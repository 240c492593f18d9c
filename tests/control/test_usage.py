"""What the parts of a run use: added up over restarts, bounded, and put into a table."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from streamer.control import killing, proc, report
from streamer.control.usage import (
    GAP_S,
    MOST_POINTS,
    Counting,
    Meter,
    Point,
    Reading,
    Series,
    Usage,
    with_sample,
)
from tests.control.parts import CAVECAST, DEADLINE_S, control_plane, ended, environment, start, until, volume
from tests.control.test_runs import record
from tests.ending import ending, line_within


def sampled(*usages: tuple[float, Usage], carried: Point | None = None, series: Series | None = None) -> Series:
    found = series or Series()
    for at, usage in usages:
        found = with_sample(found, carried, usage, at)
    return found


def test_what_is_summed_up_goes_on_after_a_restart() -> None:
    before = sampled((0.0, Usage("worker", 2, 0.0, 10, 1, 0.5, 100)), (10.0, Usage("worker", 2, 15.0, 30, 1, 0.5, 200)))
    assert before.last == Point(10.0, 2, 10.0, 15.0, 30, 1, 10.0, 5.0, 200, None)
    after = sampled(
        (10.0 + GAP_S + 1, Usage("worker", 1, 1.0, 20, 1, 1.0, 5)), (45.0, Usage("worker", 1, 2.0, 20, 1, 1.0, 7)),
        carried=before.last, series=before,
    )  # fmt: skip
    assert after.last is not None
    assert after.last.cpu_s == 17.0
    assert after.last.seconds == pytest.approx(14.0), "while nobody looked, nobody knows"
    assert after.last.gpu_s == pytest.approx(14.0)
    assert after.last.gpu_busy_s == pytest.approx(9.0)
    assert after.last.read_bytes == 207
    assert (after.peak("memory"), after.peak("processes")) == (30, 2)


def test_a_clock_that_jumps_makes_no_time_and_no_hours() -> None:
    usage = Usage("worker", 1, 1.0, 10, 4, 1.0)
    found = sampled(
        (1000.0, usage), (1002.0, usage), (1002.0 - 86400, usage), (1004.0 - 86400, usage), (90000.0, usage)
    )
    assert found.last is not None
    assert found.last.seconds == pytest.approx(4.0)
    assert found.last.gpu_s == pytest.approx(16.0)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 999)), min_size=1, max_size=900))
def test_a_series_is_bounded_and_keeps_its_peaks_and_its_sums(taken: list[tuple[int, int]]) -> None:
    series, cpu_s = Series(), 0.0
    for number, (processes, memory) in enumerate(taken):
        cpu_s += processes
        series = with_sample(series, None, Usage("worker", processes, cpu_s, memory), float(number))
    assert len(series.points) <= MOST_POINTS
    assert series.last is not None
    assert series.last.cpu_s == cpu_s
    assert series.last.seconds == sum(processes > 0 for processes, _ in taken[:-1])
    assert series.peak("memory") == max(memory for _, memory in taken)
    assert series.peak("processes") == max(processes for processes, _ in taken)
    assert series.peak("gpus") is None


def test_processes_that_have_ended_are_not_forgotten() -> None:
    meter = Meter()
    meter.read({("worker", "1"): Reading(1.0, 10, 5, 6), ("worker", "2"): Reading(2.0, 20, 7, 8)}, ["worker"], None)
    (usage,) = meter.read({("worker", "2"): Reading(3.0, 20, 9, 9)}, ["worker", "worker"], None)
    assert usage == Usage("worker", 1, 4.0, 20, None, None, 14, 15)
    both = {
        ("worker", "2"): Reading(3.0, 1, 9, 9, frozenset("ab")),
        ("worker", "3"): Reading(0.0, 1, 0, 0, frozenset("b")),
    }
    (usage,) = meter.read(both, ["worker"], {"a": 0.2, "b": 0.4})
    assert usage.gpus == 2
    assert usage.gpu_use == pytest.approx(0.3)
    (usage,) = meter.read({}, ["worker"], {"a": 1.0})
    assert (usage.processes, usage.cpu_s, usage.gpus, usage.gpu_use) == (0, 4.0, 0, None)


def test_counters_that_begin_anew_go_on() -> None:
    counting = Counting()
    for value in (5, 9, 2, 4):
        counting.heard({"archive one": ("archive", value)})
    assert counting.total == {"archive": 9 + 4}


@pytest.mark.parametrize(("apps", "cards", "held", "busy"), [
    ("", "", {}, {}),
    (
        "71, GPU-a\n71, GPU-b\n72, GPU-a\n", "GPU-a, 35\nGPU-b, 100\n",
        {71: {"GPU-a", "GPU-b"}, 72: {"GPU-a"}}, {"GPU-a": 0.35, "GPU-b": 1},
    ),
    ("[N/A], GPU-a\nx\n", "GPU-a, [N/A]\nGPU-b, [Not Supported]\nGPU-c, 9999\n,\n", {}, {}),
])  # fmt: skip
def test_what_the_driver_says_of_gpus(apps: str, cards: str, held: dict[int, set[str]], busy: dict[str, float]) -> None:
    found = proc.read_gpus(apps, cards)
    assert {pid: set(gpus) for pid, gpus in found.held.items()} == held
    assert found.busy == busy


def test_a_driver_that_hangs_is_not_asked_again_before_it_has_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, program = tmp_path / "asked", tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\necho $$ >>{asked}\nexec /bin/sleep 600\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(proc, "SMI_S", 2.0)
    monkeypatch.setattr(killing, "GONE_S", 0.1)

    async def asks() -> None:
        with monkeypatch.context() as stuck:
            stuck.setattr(asyncio.subprocess.Process, "kill", lambda _: None)
            assert await asyncio.wait_for(proc.gpus(), DEADLINE_S) is None
            assert await proc.gpus() is None
        (pid,) = asked.read_text().split()
        (hung,) = proc._hung
        os.kill(int(pid), signal.SIGKILL)
        await hung.wait()
        program.write_text("#!/bin/sh\n")
        assert await proc.gpus() == proc.Gpus({}, {})

    with capture_logs() as said:
        asyncio.run(asks())
    assert [entry["what"] for entry in said] == ["nvidia-smi"]


def test_a_process_is_measured_with_its_children(tmp_path: Path) -> None:
    burn = "import time\nend = time.process_time() + 0.2\nwhile time.process_time() < end: pass\n"
    code = (
        f"import subprocess, sys\n{burn}subprocess.run([sys.executable, '-c', {burn!r}])\n"
        "child = subprocess.Popen(['sleep', '600'])\nprint(flush=True)\nsys.stdin.read()\nchild.kill()\nchild.wait()"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with ending(process, signal.SIGKILL):
        line_within(process.stdout)
        found = proc.readings(process.pid)
        process.communicate(b"", timeout=DEADLINE_S)
    assert len(found) == 2
    assert sum(one.cpu_s for one in found.values()) >= 0.35
    assert max(one.memory for one in found.values()) > 1 << 20
    assert proc.readings(process.pid) == {}, "it has ended"


def hours(gpus: int, use: float | None) -> Series:
    return sampled(
        *((at, Usage("worker", 2, at, 1 << 30, gpus, use, 10)) for at in (0.0, 30.0, 60.0))
    )  # fmt: skip


def test_the_table_has_gpu_hours_and_warns_of_idle_gpus() -> None:
    roles = {"worker": hours(4, 0.3), "inspect": sampled((0.0, Usage("inspect", 1, 0.5, 1 << 20)))}
    found = report.report(record("complete"), roles)
    assert [step.step for step in found.steps] == ["inspect", "segment"]
    assert found.gpu_hours == pytest.approx(4 * 60 / 3600)
    assert found.gpu_use == pytest.approx(0.3)
    assert found.warnings[0].startswith("segment held its GPUs for 0.067 GPU-hours and used 30 % of them: fewer GPUs")
    assert report.report(record("complete"), {"worker": hours(4, 0.4)}).warnings == ()
    table = report.markdown(found).splitlines()
    assert table[0] == "| step | pods | CPUs | GPUs | data read | data written | peak memory | time |"
    assert table[3] == "| segment | 2 | 1 | 4 | 10 B | not measured | 1.07 GB | 1 min 00 s |"
    assert table[-2] == "GPU-hours: 0.0667, of which 30 % were used."
    nothing = report.report(record("complete"), {"worker": sampled((0.0, Usage("worker", 1)))})
    assert (nothing.gpu_hours, nothing.steps[0].gpus, nothing.steps[0].cpus) == (None, None, None)
    assert report.markdown(nothing).endswith("GPU-hours: not measured.")
    assert msgspec.json.decode(msgspec.json.encode(found), type=report.Report) == found


def command(client: httpx.Client, *words: str) -> str:
    done = subprocess.run(
        [CAVECAST, "runs", "report", *words, "--server", str(client.base_url)], capture_output=True, text=True,
        timeout=DEADLINE_S, env=environment(), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def steps(client: httpx.Client, run_id: str) -> dict[str, dict[str, Any]]:
    answer = client.get(f"/api/v1/runs/{run_id}/report")
    assert answer.status_code == 200, answer.text
    return {step["step"]: step for step in answer.json()["steps"]}


def test_a_run_has_a_step_table_that_goes_on_after_a_kill(tmp_path: Path) -> None:
    path, home = volume(tmp_path / "blobs.npy"), ("--dir", str(tmp_path / "home"))
    wish = {"threshold": 0.55, "chunk": [4, 8, 8], "view": False, "workers": 2, "pace_s": 6}
    with control_plane(*home) as (client, server):
        run_id = start(client, input=str(path), out=str(tmp_path / "a.zarr"), **wish)["run_id"]
        until(client, run_id, committed=5)
        assert steps(client, run_id)["segment"]["processes"] == 3, "also while it goes on"
        server.terminate()
        server.wait(DEADLINE_S)
    with control_plane(*home) as (client, server):
        before = steps(client, run_id)
        assert before["inspect"]["cpu_s"] > 0
        assert before["segment"]["cpu_s"] > 0.1
        run = ended(client, run_id)
        assert run["state"] == "complete"
        client.post(f"/api/v1/runs/{run_id}/cancel")  # its processes end, and the last samples are written down
        after = steps(client, run_id)
        assert after["segment"]["cpu_s"] > before["segment"]["cpu_s"]
        assert after["segment"]["processes"] == 3
        assert after["segment"]["written_bytes"] == run["status"]["log_bytes"]
        assert after["segment"]["peak_memory"] > 50_000_000
        assert after["archive"]["read_bytes"] > 0
        assert after["archive"]["written_bytes"] > 1000
        text = command(client, run_id, "--markdown")
        assert text.splitlines()[0].startswith("| step | pods | CPUs")
        assert "segment" in command(client, run_id)
        assert f'"run_id":"{run_id}"' in command(client, run_id, "--json")
        assert client.get("/api/v1/runs/nobody/report").status_code == 404
        assert client.delete(f"/api/v1/runs/{run_id}").status_code == 204
        assert client.get(f"/api/v1/runs/{run_id}/report").status_code == 404
