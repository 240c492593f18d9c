"""How many threads a worker's network gets, by what the machine allows and what it was told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_workers import cores
from streamer.control.parts import Addresses, Plan, arguments


@pytest.mark.parametrize(
    ("text", "limit"),
    [("200000 100000\n", 2.0), ("50000 100000", 0.5), ("max 100000\n", None), ("", None), ("nonsense", None)],
)
def test_a_cgroup_limits_cores_by_quota_and_period(text: str, limit: float | None) -> None:
    assert cores.quota_v2(text) == limit


def test_the_limits_of_all_groups_above_count() -> None:
    text = "12:cpu:/other\n0::/kubepods/pod1/main\n"
    assert cores.groups(text) == ["/kubepods/pod1/main", "/kubepods/pod1", "/kubepods", "/"]
    assert cores.groups("") == ["/"]


def test_quotas_are_found_in_both_versions_of_cgroups(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("300000\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert sorted(cores.quotas(tmp_path)) == [1.5, 3.0]
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("-1\n")
    assert cores.quotas(tmp_path) == [1.5]
    assert cores.quotas(tmp_path / "none") == []


@given(st.integers(1, 500), st.integers(1, 500))
def test_workers_share_the_cores_and_each_has_one_thread_at_least(n: int, workers: int) -> None:
    each = cores.share(n, workers)
    assert each >= 1
    assert each * workers <= max(n, workers)
    assert (each + 1) * workers > n


def test_no_process_takes_more_cores_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(cores.THREADS, raising=False)
    assert 1 <= cores.cores() <= (os.cpu_count() or 1)
    assert cores.threads() == cores.cores()
    for nonsense in ("", "0", "many", "-1"):
        monkeypatch.setenv(cores.THREADS, nonsense)
        assert cores.threads() == cores.cores()
    monkeypatch.setenv(cores.THREADS, "3")
    assert cores.threads() == 3


def test_workers_of_a_run_are_told_how_many_they_are() -> None:
    plan = Plan(Path("/run"), workers=3, view=False, out=None, hold=False, pace_s=0)
    at = Addresses("ipc:///run/ingest", "ipc:///run/feed", "ipc:///run/views")
    for n in (1, 2, 3):
        told = arguments(f"worker-{n}", "worker", plan, at)
        assert told[told.index("--one-of") + 1] == "3"


def test_the_processor_is_described_with_what_bears_on_speed() -> None:
    assert cores.processor()
    assert cores.processor_has("bfloat16") == any(
        flag in Path("/proc/cpuinfo").read_text().split() for flag in ("avx512_bf16", "amx_bf16", "bf16")
    )
