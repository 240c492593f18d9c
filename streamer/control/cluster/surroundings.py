"""All objects of this installation as its followers know them, sorted by runs.

A thread for each kind and namespace hears; here their news is put in order at most ten times a second, and whoever
looks after a run is woken.  A kind is known as it is now if that was so when it was put in order, and still is: what
was listed since then is not among the objects yet, and nothing of it is missing.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Sequence

from streamer.control.cluster.facts import FOLLOWED, Facts, Key, key_of
from streamer.control.cluster.following import ClusterLine, Follower
from streamer.control.cluster.names import INSTALLATION_LABEL, RUN_LABEL, name, slug
from streamer.control.cluster.observed import text
from streamer.control.cluster.plan import Object

SOONEST_S = 0.1
LOOK_S = 1.0
"""Silence is no news, so it is looked for."""
NODES_S = 3.0
"""So long a question about nodes waits for the first that is heard of them."""


class Surroundings:
    """What is known of the namespaces in which there may be runs."""

    def __init__(self, line: ClusterLine, installation: str, namespaces: Sequence[str]) -> None:
        self._line = line
        selector = f"{INSTALLATION_LABEL}={installation}"
        self._followers: dict[str, dict[str, Follower]] = {
            space: {
                **{kind: line.follow(kind, selector, space) for kind in FOLLOWED},
                "Event": line.follow("Event", "", space),
            } for space in namespaces
        }  # fmt: skip
        self._nodes = line.follow("Node")
        self._listeners: dict[str, Callable[[], None]] = {}
        self._versions: dict[str, list[str]] = {}
        self._looked = asyncio.Event()
        self._by_run: dict[tuple[str, str], dict[Key, Object]] = {}
        self._heard: dict[str, frozenset[str]] = {}
        """The kinds that were in touch when their objects were put in order, for each namespace."""
        self._words: dict[str, str] = {}
        self._began = time.time() - time.monotonic()
        self._look()

    @property
    def steady_clock(self) -> float:
        """Seconds since 1970, if nobody had set the clock since this began."""
        return self._began + time.monotonic()

    async def keep(self) -> None:
        """Puts news in order; never ends."""
        while True:
            await self._line.news(LOOK_S)
            self._look()
            looked, self._looked = self._looked, asyncio.Event()
            looked.set()
            await asyncio.sleep(SOONEST_S)

    def listen(self, run_id: str, woken: Callable[[], None]) -> None:
        """``woken`` is called when there is news of a run's objects."""
        self._listeners[slug(run_id)] = woken

    def deafen(self, run_id: str) -> None:
        """Ends that."""
        self._listeners.pop(slug(run_id), None)

    def facts(self, namespace: str, run_id: str) -> Facts:
        """What is known of a run."""
        followers = self._followers[namespace]
        return Facts(
            objects=self._by_run.get((namespace, slug(run_id)), {}),
            heard=frozenset(kind for kind in followers if self._knows(namespace, kind)),
            words=self._words.get(namespace, ""),
            events=followers["Event"].objects(),
            nodes=self._nodes.objects() if self._nodes.in_touch() else None,
            nodes_why=self._nodes.denied(),
            clock=time.time(),
        )

    def root(self, run_id: str) -> tuple[str, Object | None]:
        """(namespace, root) of a run; no root if there is none as far as is known."""
        for space in self._followers:
            found = self._by_run.get((space, slug(run_id)), {}).get(("ConfigMap", name(run_id, "run")))
            if found is not None:
                return space, found
        return "", None

    @property
    def namespaces(self) -> tuple[str, ...]:
        """All that are looked at."""
        return tuple(self._followers)

    def heard(self, *kinds: str) -> bool:
        """Whether some kinds are known as they are now, everywhere."""
        return all(self._knows(space, kind) for space in self._followers for kind in kinds)

    async def known(self, *kinds: str) -> None:
        """Waits until some kinds are known as they are now, everywhere."""
        while not self.heard(*kinds):
            await self._looked.wait()

    async def nodes(self) -> tuple[Sequence[Object] | None, str]:
        """The nodes, or None and why they are not known, in a sentence; waits a moment for them."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(NODES_S):
                while not (self._nodes.in_touch() or self._nodes.denied()):
                    await self._looked.wait()
        return (self._nodes.objects(), "") if self._nodes.in_touch() else (None, self._nodes.trouble())

    async def looked(self) -> None:
        """Waits until news has been put in order once more."""
        await self._looked.wait()

    def words(self) -> str:
        """What stands in the way of knowing, in a sentence."""
        return next((words for words in self._words.values() if words), "")

    def every(self, namespace: str) -> list[Object]:
        """All objects of the installation in a namespace."""
        return [one for (space, _), found in self._by_run.items() if space == namespace for one in found.values()]

    def _knows(self, namespace: str, kind: str) -> bool:
        return kind in self._heard[namespace] and self._followers[namespace][kind].in_touch()

    def _look(self) -> None:
        sorted_: defaultdict[tuple[str, str], dict[Key, Object]] = defaultdict(dict)
        for space, followers in self._followers.items():
            known = {kind: follower.known() for kind, follower in followers.items()}
            self._heard[space] = frozenset(kind for kind, (in_touch, _) in known.items() if in_touch)
            for kind in FOLLOWED:
                for one in known[kind][1]:
                    # What a watch tells has its kind, what a list has was given it.
                    sorted_[space, text(one, "metadata", "labels", RUN_LABEL)][key_of(one)] = one
            # The sentence stays while the trouble lasts, though its words may change with each attempt.
            troubles = [why for one in followers.values() if (why := one.trouble())]
            self._words[space] = (self._words.get(space) or troubles[0]) if troubles else ""
        before, self._by_run = self._versions, dict(sorted_)
        self._versions = {}
        for (_, run), its in self._by_run.items():
            self._versions.setdefault(run, []).extend(one["metadata"]["resourceVersion"] for one in its.values())
        for run in before.keys() | self._versions.keys():
            if run in self._listeners and before.get(run) != self._versions.get(run):
                self._listeners[run]()
