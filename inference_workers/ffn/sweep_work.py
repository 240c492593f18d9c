"""A worker of a sweep: takes one trial after another until there are enough, and looks after those of the dead.

While a trial runs, a thread writes its pulse into the study.  Before each trial, those without a pulse, or of
a process of this machine that is gone, are marked as failed and put in line again, so that nothing is lost
with a worker but the time that it had spent.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import msgspec
import structlog

from inference_workers.ffn.scores import Scores
from inference_workers.ffn.study import Study
from inference_workers.ffn.sweep import PULSE_S, SweepError, Trial, Value, Worker, dead, wanted

MOST_FAILURES = 3
"""So many trials in a row that go wrong end a worker."""


class Trying(Protocol):
    """What a trial is."""

    def run(self, chosen: Mapping[str, Value], beat: Callable[[], None]) -> dict[str, Scores]:
        """Its scores; raises ValueError if the values do not go together."""

    def value(self, found: Mapping[str, Scores]) -> float:
        """What they are worth."""


def work(study: Study, trials: Trying, target: int, report: Callable[[list[Trial]], None] = lambda _: None) -> None:
    """Works until ``target`` trials are done, or others are at the rest.  Raises SweepError if nothing goes right."""
    me = this_worker()
    failures = 0
    while True:
        bury_dead(study)
        if not wanted(study.trials(), target):
            return
        number, chosen = study.ask()
        begun = time.monotonic()
        study.note(number, worker=list(me), pulse=time.time())
        try:
            with _pulse(study, number):
                found = trials.run(chosen, lambda: None)
                value = trials.value(found)
        except ValueError as why:
            study.note(number, why=str(why))
            study.refuse(number)
            structlog.get_logger().warning("trial refused", trial=number, why=str(why))
        except Exception as why:
            study.note(number, why=f"{type(why).__name__}: {why}")
            study.fail(number)
            failures += 1
            structlog.get_logger().error("trial failed", trial=number, why=str(why))
            if failures == MOST_FAILURES:
                raise SweepError(f"{failures} trials in a row went wrong, the last with: {why}") from why
            continue
        except BaseException:  # interrupted: its values wait for whoever goes on
            study.note(number, pulse=0.0)
            bury_dead(study)
            raise
        else:
            told = {name: msgspec.to_builtins(one) for name, one in found.items()}
            study.note(number, scores=told, seconds=round(time.monotonic() - begun, 3))
            study.tell(number, value)
        failures = 0
        report(study.trials())


def bury_dead(study: Study) -> list[int]:
    """Marks trials as failed at which nobody is any more; their numbers."""
    trials = study.trials()
    workers = [Worker(*w) for t in trials if t.state == "running" and (w := t.attributes.get("worker"))]
    absent = gone(workers)
    buried = []
    for trial in trials:
        if dead(trial, time.time(), absent) and _may_be_begun(trial):
            study.note(trial.number, why="its worker is gone")
            buried += [trial.number] if study.bury(trial) else []
    for number in buried:
        structlog.get_logger().warning("trial of a dead worker is tried again", trial=number)
    return buried


def _may_be_begun(trial: Trial) -> bool:
    """Not one that was begun a moment ago and whose worker has not written anything yet."""
    return "pulse" in trial.attributes


def this_worker() -> Worker:
    """This process."""
    return Worker(socket.gethostname(), os.getpid(), _started(os.getpid()))


def gone(workers: Sequence[Worker]) -> list[Worker]:
    """Those of this machine that do not run any more."""
    here = socket.gethostname()
    return [w for w in dict.fromkeys(workers) if w.host == here and _started(w.pid) != w.started]


def _started(pid: int) -> str:
    """When a process was started, in the kernel's ticks; empty if it is not there (or the system does not say)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    after = stat.rpartition(")")[2].split()
    return "" if after[0] == "Z" else after[19]


@contextmanager
def _pulse(study: Study, number: int) -> Iterator[None]:
    """Writes a trial's pulse while it runs."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(PULSE_S):
            try:
                study.note(number, pulse=time.time())
            except Exception as why:
                # The storage is away for a while; whoever needs it next will say so.
                structlog.get_logger().warning("pulse not written", trial=number, why=str(why))

    thread = threading.Thread(target=beat, name="pulse", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
