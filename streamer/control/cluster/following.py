"""The asyncio side of a cluster: requests in threads of their own, and a thread for each collection that is followed.

The official client blocks, so nothing of it runs on the loop.  Whoever follows a collection is only woken when
something is new and reads what is known then: no queue can grow.  ``close`` ends all threads in order.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import structlog

from streamer.control.cluster.connections import Watch
from streamer.control.cluster.engine import Engine
from streamer.control.cluster.hearing import Hearing, ListAll, Object, Rules, State, WaitUntil
from streamer.control.cluster.troubles import Expired, NotAllowed, Trouble, Unanswered

MOST_REQUESTS = 8
"""So many requests are under way at once."""
CLOSING_S = 2.0
log = structlog.get_logger()
Answer = TypeVar("Answer")


class Clock(Protocol):
    """The time, and waiting for it."""

    def now(self) -> float: ...

    def wait(self, until: float, stopped: threading.Event) -> None:
        """Returns when the time has come, or ``stopped`` is set."""
        ...


class SystemClock:
    def now(self) -> float:
        return time.monotonic()

    def wait(self, until: float, stopped: threading.Event) -> None:
        stopped.wait(max(until - self.now(), 0.0))


class Follower:
    """One collection, heard by a thread.  All methods may be called from any thread."""

    def __init__(
        self, engine: Engine, kind: str, selector: str, namespace: str, rules: Rules, clock: Clock,
        tell: Callable[[], None],
    ) -> None:  # fmt: skip
        self.kind = kind
        self._engine, self._selector, self._namespace = engine, selector, namespace
        self._hearing, self._clock, self._tell = Hearing(rules), clock, tell
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._watch: Watch | None = None
        self._denied = ""
        self.thread = threading.Thread(target=self._run, name=f"follow {kind}", daemon=True)

    def state(self, name: str, namespace: str = "") -> State:
        """What is known of an object now."""
        with self._lock:
            return self._hearing.state(namespace or self._namespace, name, self._clock.now())

    def objects(self) -> list[Object]:
        """The objects as they were last seen, not to be changed; ``in_touch`` says whether that was just now."""
        with self._lock:
            return self._hearing.objects()

    def known(self) -> tuple[bool, list[Object]]:
        """Both at one moment: whether the collection is in touch, and its objects as they were last seen."""
        with self._lock:
            return self._hearing.in_touch(self._clock.now()), self._hearing.objects()

    def in_touch(self) -> bool:
        with self._lock:
            return self._hearing.in_touch(self._clock.now())

    def watching(self) -> bool:
        """Whether a watch is open just now; between two of them, and while it is listed, there is none."""
        with self._lock:
            return self._watch is not None

    def words(self) -> str:
        """What stands in the way of knowing, in a sentence; empty where nothing does."""
        with self._lock:
            return self._hearing.words(self._clock.now())

    def trouble(self) -> str:
        """Why the collection is not known as it is now, without a time; empty where it is."""
        with self._lock:
            if self._hearing.in_touch(self._clock.now()):
                return ""
            return self._hearing.trouble or f"{self.kind} objects have not been heard of yet"

    def denied(self) -> str:
        """Why the collection may not be listed, in a sentence, if the server has said so; empty otherwise."""
        with self._lock:
            return "" if self._hearing.in_touch(self._clock.now()) else self._denied

    def stop(self) -> None:
        """Ends the thread; does not wait for it."""
        self._stopped.set()
        with self._lock:
            watch = self._watch
        if watch is not None:
            watch.stop()

    def _run(self) -> None:
        try:
            while not self._stopped.is_set():
                self._step()
        except Exception:
            # The last resort of a thread: without it the collection would stay as it is, and nobody would know why.
            log.exception("following a collection came to an end that was not meant", kind=self.kind)
            self._failed(Unanswered(f"following {self.kind} objects has come to an end; see the log, and start again"))

    def _step(self) -> None:
        with self._lock:
            step = self._hearing.next(self._clock.now())
        if isinstance(step, WaitUntil):
            self._clock.wait(step.time, self._stopped)
            return
        try:
            if isinstance(step, ListAll):
                items, version = self._engine.list_all(self.kind, self._selector, self._namespace)
                with self._lock:
                    changes = self._hearing.listed(items, version, self._clock.now())
                self._tell()
                log.debug("listed", kind=self.kind, objects=len(items), changes=len(changes))
            else:
                self._hear(step.version, step.timeout_s)
        except Trouble as trouble:
            self._failed(trouble)

    def _hear(self, version: str, timeout_s: int) -> None:
        silence_s = self._hearing.rules.silence_s
        watch = self._engine.watch(self.kind, version, timeout_s, silence_s, self._selector, self._namespace)
        with self._lock:
            self._watch = watch
        try:
            if self._stopped.is_set():
                return
            for event in watch:
                with self._lock:
                    changes = self._hearing.heard(event, self._clock.now())
                if changes:
                    self._tell()
            with self._lock:
                self._hearing.ended(self._clock.now())
        finally:
            with self._lock:
                self._watch = None
            watch.close()

    def _failed(self, trouble: Trouble) -> None:
        if self._stopped.is_set():
            return
        with self._lock:
            before = self._hearing.trouble
            self._denied = str(trouble) if isinstance(trouble, NotAllowed) else ""
            self._hearing.failed(
                str(trouble), self._clock.now(), expired=isinstance(trouble, Expired),
                retry_after_s=trouble.retry_after_s,
            )  # fmt: skip
            after = self._hearing.trouble
        if after != before:  # said once, not with each attempt
            log.warning(str(trouble), kind=self.kind)
        self._tell()


class ClusterLine:
    """A cluster, from an event loop."""

    def __init__(self, engine: Engine, rules: Rules | None = None, clock: Clock | None = None) -> None:
        self.engine = engine
        self._rules, self._clock = rules or Rules(), clock or SystemClock()
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Semaphore(MOST_REQUESTS)
        self._news = asyncio.Event()
        self._followers: list[Follower] = []
        self._requests: set[threading.Thread] = set()
        self._closed = False

    async def ask(self, request: Callable[..., Answer], *arguments: Any, **more: Any) -> Answer:
        """What a method of the engine returns or raises; it has its own deadline.

        Cancelling leaves the request to its deadline: whether it came to pass is then not known.
        """
        await self._room.acquire()
        answer: asyncio.Future[Answer] = self._loop.create_future()

        def finish(result: Answer | None, error: BaseException | None) -> None:
            self._room.release()
            if answer.cancelled():
                return
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(result)  # type: ignore[arg-type]

        def run() -> None:
            result, failure = None, None
            try:
                result = request(*arguments, **more)
            except BaseException as error:  # whatever it is, it belongs to whoever asked
                failure = error
            self._call_soon(finish, result, failure)

        thread = threading.Thread(target=run, name="ask the API server", daemon=True)
        if self._closed:
            self._room.release()
            raise Unanswered("the line to the cluster is closed")
        try:
            thread.start()
        except RuntimeError as error:  # the process may have no more threads
            finish(None, Unanswered(f"the API server cannot be asked: {error}"))
        else:
            # One that has answered is still there for a moment, and is waited for on closing as well.
            self._requests = {one for one in self._requests if one.is_alive()} | {thread}
        return await answer

    def follow(self, kind: str, selector: str = "", namespace: str = "") -> Follower:
        """Begins to follow a collection."""
        assert not self._closed
        place = namespace or (self.engine.namespace if kind not in ("Node", "Namespace") else "")
        follower = Follower(self.engine, kind, selector, place, self._rules, self._clock, self._tell)
        self._followers.append(follower)
        follower.thread.start()
        return follower

    async def unfollow(self, follower: Follower) -> None:
        """Ends a follower."""
        follower.stop()
        self._followers.remove(follower)
        await self._joined([follower.thread])

    async def news(self, within_s: float) -> bool:
        """Waits until something is new in any collection that is followed, ``within_s`` at most; whether there is."""
        try:
            async with asyncio.timeout(within_s):
                await self._news.wait()
        except TimeoutError:
            return False
        self._news.clear()
        return True

    async def close(self) -> None:
        """Ends all threads; what is under way is broken off."""
        self._closed = True
        for follower in self._followers:
            follower.stop()
        self.engine.close()
        await self._joined([*(one.thread for one in self._followers), *self._requests])
        self._followers.clear()

    async def _joined(self, threads: list[threading.Thread]) -> None:
        until = time.monotonic() + CLOSING_S

        def join() -> list[str]:
            for thread in threads:
                thread.join(max(until - time.monotonic(), 0.0))
            return [thread.name for thread in threads if thread.is_alive()]

        left = await asyncio.to_thread(join)
        if left:  # they are daemons: they end with the process at the latest
            log.warning("threads to the cluster did not end in time", threads=left)

    def _tell(self) -> None:
        self._call_soon(self._news.set)

    def _call_soon(self, what: Callable[..., object], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(what, *arguments)
        except RuntimeError:  # the loop has ended before the thread
            return
