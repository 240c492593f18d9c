"""The study of a sweep in Optuna: where its trials are kept, and what is tried next.

One file of SQLite by default; a Valkey or Redis, or a PostgreSQL, where many workers share it.  The next
values come from a tree-structured Parzen estimator (Bergstra et al. 2011), which takes trials that others
are at for bad ones, so that they do not all try the same.
"""

from __future__ import annotations

import re
import warnings
from typing import Any, Self

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import DuplicatedStudyError, StorageInternalError, UpdateFinishedTrialError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalRedisBackend
from optuna.trial import FrozenTrial, TrialState
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from inference_workers.ffn.sweep import Span, Sweep, SweepError, Trial, Value, retries

OUT_OF_REACH: tuple[type[Exception], ...] = (StorageInternalError, SQLAlchemyError, RedisError, ConnectionError)
"""What is raised when a storage that was there does not answer any more."""
_STATES: dict[TrialState, Any] = {
    TrialState.COMPLETE: "complete",
    TrialState.RUNNING: "running",
    TrialState.FAIL: "failed",
    TrialState.PRUNED: "refused",
    TrialState.WAITING: "waiting",
}


def open_storage(address: str) -> BaseStorage:
    """Where studies are kept.  Raises SweepError, without the password that an address may hold."""
    scheme, separator, rest = address.partition("://")
    said = re.sub(r"//[^/@]*@", "//…@", address)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        if scheme in ("redis", "rediss", "valkey", "valkeys"):
            return _journal(f"{scheme.replace('valkey', 'redis')}://{rest}")
        if scheme in ("postgresql", "postgres"):
            return RDBStorage(f"postgresql+psycopg://{rest}")
        if scheme == "sqlite" and separator:
            # Workers on one machine wait for each other's writes.
            return RDBStorage(address, engine_kwargs={"connect_args": {"timeout": 60}})
    except Exception as why:  # the drivers' errors have no common class
        raise SweepError(f"the studies at {said} cannot be reached ({_line(why)}): check the address") from None
    raise SweepError(
        f"{said} is no place for a study: give sqlite:///FILE, redis://HOST:PORT, valkey://HOST:PORT or"
        " postgresql://USER@HOST/DATABASE"
    )


def _journal(address: str) -> BaseStorage:
    with warnings.catch_warnings():
        # Its interface may change, which the versions that we are tested with do not.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return JournalStorage(JournalRedisBackend(address, prefix="cavecast"))


class Study:
    """The trials of one sweep."""

    def __init__(self, storage: BaseStorage, sweep: Sweep, salt: int | None = None) -> None:
        """Opens it, or begins it.  ``salt`` differs between workers, so that they do not draw the same first values;
        without it, a worker that goes on draws others than the one before it, and the same each time.

        Raises SweepError if there is a study of that name from another configuration.
        """
        try:
            self._study = optuna.create_study(storage=storage, study_name=sweep.name, direction=sweep.direction)
            self._study.set_user_attr("digest", sweep.digest)
        except DuplicatedStudyError:
            self._study = optuna.load_study(storage=storage, study_name=sweep.name)
            # Who has just begun it may not have written this yet.
            there = self._study.user_attrs.get("digest", sweep.digest)
            if there != sweep.digest:
                self.close()
                raise SweepError(
                    f"the study {sweep.name} was begun with another configuration, and its trials cannot be compared:"
                    " give this one another name"
                ) from None
        seed = sweep.seed + (len(self._study.get_trials(deepcopy=False)) if salt is None else salt)
        self._study.sampler = optuna.samplers.TPESampler(
            seed=seed % 2**32, n_startup_trials=max(4, 2 * len(sweep.varied()))
        )
        self._space = {name: _distribution(choice) for name, choice in sweep.varied().items()}

    def ask(self) -> tuple[int, dict[str, Value]]:
        """Begins a trial: its number, and what it tries."""
        trial = self._study.ask(self._space)
        return trial.number, dict(trial.params)

    def note(self, number: int, **attributes: Any) -> None:
        """Writes something down about a running trial; nothing if somebody has ended it."""
        for name, value in attributes.items():
            try:
                self._study._storage.set_trial_user_attr(self._id(number), name, value)
            except UpdateFinishedTrialError:
                return

    def tell(self, number: int, value: float) -> None:
        """A trial is complete."""
        self._study.tell(number, value, skip_if_finished=True)

    def refuse(self, number: int) -> None:
        """A trial's values do not go together; it is not tried again."""
        self._study.tell(number, state=TrialState.PRUNED, skip_if_finished=True)

    def fail(self, number: int) -> None:
        """A trial went wrong."""
        self._study.tell(number, state=TrialState.FAIL, skip_if_finished=True)

    def bury(self, trial: Trial) -> bool:
        """Marks a dead trial as failed, and puts its values in line again; False if somebody else was quicker."""
        try:
            self._study._storage.set_trial_state_values(self._id(trial.number), TrialState.FAIL)
        except UpdateFinishedTrialError:
            return False
        tried = retries(trial)
        if tried is not None and set(trial.parameters) == set(self._space):
            self._study.enqueue_trial(trial.parameters, {"retry": tried, "retry_of": trial.number})
        return True

    def trials(self) -> list[Trial]:
        """All trials, by number."""
        return [_trial(frozen) for frozen in self._study.get_trials(deepcopy=False)]

    def importances(self) -> dict[str, float]:
        """How much each parameter mattered, adding up to 1; empty where too few trials are complete to say."""
        done = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if len(done) < 4 or len({t.value for t in done}) < 2:
            return {}
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()
        return dict(optuna.importance.get_param_importances(self._study, evaluator=evaluator))

    def close(self) -> None:
        """Closes the connections to a database; the study stays."""
        storage = self._study._storage
        storage = getattr(storage, "_backend", storage)  # what is read is kept in memory beside it
        if isinstance(storage, RDBStorage):
            storage.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _id(self, number: int) -> int:
        found: int = self._study._storage.get_trial_id_from_study_id_trial_number(self._study._study_id, number)
        return found


def _trial(frozen: FrozenTrial) -> Trial:
    value = frozen.value if frozen.state == TrialState.COMPLETE else None
    return Trial(frozen.number, _STATES[frozen.state], value, dict(frozen.params), dict(frozen.user_attrs))


def _distribution(choice: Span | list[Value]) -> BaseDistribution:
    if isinstance(choice, list):
        return CategoricalDistribution(choice)
    if choice.whole:
        return IntDistribution(int(choice.low), int(choice.high), log=choice.log, step=int(choice.step or 1))
    return FloatDistribution(float(choice.low), float(choice.high), log=choice.log, step=choice.step)


def _line(why: BaseException) -> str:
    return (str(why).strip().splitlines() or [type(why).__name__])[0].rstrip(".:")
