"""How a run is taken up: its root and its keys are found, or made if they are not there for certain."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import NamedTuple

from streamer.control.booking import Booking
from streamer.control.cluster import objects, root, serving, standing
from streamer.control.cluster.facts import Facts, Key, key_of
from streamer.control.cluster.hand import Hand
from streamer.control.cluster.names import name
from streamer.control.cluster.plan import ClusterPlan, NotPossible, Object
from streamer.control.cluster.surroundings import Surroundings
from streamer.control.runs import Run
from streamer.keyring import fresh
from streamer.wire.keys import Keys, parse


class TakenUp(NamedTuple):
    """A run whose root and keys are there."""

    plan: ClusterPlan
    """By which it was made, whatever the site says by now."""
    keys: Keys
    """The control plane's own."""
    made: Mapping[Key, Object]
    """What it consists of besides root and Secret."""


class Lost(NamedTuple):
    """A run that somebody else has taken away."""

    why: str


class Taking:
    """Takes one run up."""

    def __init__(
        self, booked: Booking, plan: ClusterPlan | NotPossible, around: Surroundings, hand: Hand, *, over: bool
    ) -> None:
        """``plan``: what would be made of it now, or why that is not possible; ``over``: it is only looked at."""
        self._booked, self._plan, self._around, self._hand, self._over = booked, plan, around, hand, over

    async def attempt(self, record: Run) -> TakenUp | Lost | str:
        """One attempt; a text says what stands in the way of knowing, or (empty) that it is to be tried again soon.

        Raises Trouble; Taken, Refused, NotPossible, BadKeys where it will never be.
        """
        space, found = self._around.root(record.run_id)
        if found is None:
            if isinstance(self._plan, NotPossible) and self._around.heard("ConfigMap"):
                raise self._plan
            space = "" if isinstance(self._plan, NotPossible) else self._plan.namespace
        facts = self._around.facts(space, record.run_id) if space else Facts()
        if gone := standing.root_gone(record, facts, was_there=False):
            return Lost(gone)
        missing = facts.missing(("ConfigMap", name(record.run_id, "run")))
        if found is None and not isinstance(self._plan, NotPossible) and missing:
            found = await self._hand.create(objects.first(self._booked.spec, self._plan))
        if found is not None and "StatefulSet" in facts.heard:
            return await self._with_keys(found, facts, record.workers)
        return facts.words

    async def _with_keys(self, top: Object, facts: Facts, workers: int) -> TakenUp:
        """The plan in a root, with all that is to be made of it, and the run's keys."""
        plan = root.read(top, self._booked.spec)
        secret = name(plan.run_id, "keys")
        found = await self._hand.get("Secret", secret, plan.namespace)
        if found is None and ("StatefulSet", name(plan.run_id, "streamer")) in facts.objects:
            raise NotPossible(
                f"Secret {secret} with the run's keys is gone, and its parts cannot be reached without: cancel the run "
                "and start it again; its log stays until it is removed"
            )
        if found is None:
            (wanted,) = root.owned([serving.keys(plan, dict(fresh(plan.run_id).items()))], top)
            found = await self._hand.create(wanted)
        files = {
            key.removesuffix(".toml"): base64.b64decode(value).decode()
            for key, value in (found.get("data") or {}).items()
        }
        keys = parse(files.get("control", "").encode(), f"Secret {secret}: control.toml")
        counted = objects.with_counts(plan, workers, 1)
        wanted_all = objects.rest(counted, top, files, [{} for _ in plan.walls])
        made = {key_of(one): one for one in wanted_all if one["kind"] != "Secret"}
        if self._over:
            made = {key: one for key, one in made.items() if key[0] != "Job"}
        return TakenUp(plan, keys, made)
