"""Leads or stands by, by a Lease of the cluster; ``lease`` decides, here it is read and written.

A leader that cannot renew in time is in doubt: it changes nothing, neither in the cluster nor in the books, and still
shows what it knows.  When the API server answers again the Lease says whether anybody has taken over; if so, or after
``doubt_s``, the lead is lost.  So an API server that is away for a while ends no control plane.

The requests have threads and connections of their own, so that a busy API does not keep a leader from renewing.  The
pod of the one that leads has a label, by which a Service finds it; a pod that is started again takes it off first.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import msgspec
import structlog

from streamer.control.cluster import lease
from streamer.control.cluster.engine import Engine
from streamer.control.cluster.following import ClusterLine
from streamer.control.cluster.lease import Candidate, Claim, Terms
from streamer.control.cluster.names import INSTALLATION_LABEL, MANAGED_BY
from streamer.control.cluster.plan import Object
from streamer.control.cluster.troubles import Taken, Trouble

LEADS_LABEL = "cavecast/leads"
RELEASE_S = 3.0
log = structlog.get_logger()


class LeaseLeadership:
    """A ``leading.Leadership`` by the Lease ``name``.  ``pod``: our own, if we are one."""

    def __init__(
        self, engine: Engine, namespace: str, name: str, me: str, terms: Terms,
        pod: tuple[str, str] | None = None, doubt_s: float = 300.0,
    ) -> None:  # fmt: skip
        """``pod``: namespace and name; ``doubt_s``: so long nobody need be sure who leads."""
        self.lost = asyncio.Event()
        self._line = ClusterLine(engine)
        self._namespace, self._name, self._pod = namespace, name, pod
        self._one, self._doubt_s = Candidate(me, terms), doubt_s
        self._won = asyncio.Event()
        self._trouble = ""
        self._marked: bool | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def standing(self) -> str:
        """Who leads, or why that is not known."""
        if self.leads():
            return "this control plane leads"
        if self._won.is_set() and not self.lost.is_set():
            return (
                f"nothing can be changed before it is known again that this control plane leads: "
                f"{self._trouble or 'the API server does not answer'}"
            )
        if self._trouble:
            return f"this control plane stands by and cannot ask who leads: {self._trouble}"
        who = self._one.holder or "nobody yet"
        return f"this control plane stands by; {who} leads"

    def leads(self) -> bool:
        """Whether it may act at this very moment."""
        return self._won.is_set() and not self.lost.is_set() and self._one.leads(time.monotonic())

    async def won(self) -> None:
        """Waits until it leads."""
        if self._task is None:
            self._task = asyncio.create_task(self._strive(), name="lease")
            # Whatever ends it: who cannot renew does not lead.
            self._task.add_done_callback(lambda _: self.lost.set())
        winning = asyncio.create_task(self._won.wait())
        try:
            await asyncio.wait([winning, self._task], return_when=asyncio.FIRST_COMPLETED)
        finally:
            winning.cancel()
        if not self._won.is_set() and not self._task.cancelled():
            self._task.result()

    async def release(self) -> None:
        """Lets another one lead at once, if that can be said in time."""
        if self._task is not None:
            self._task.cancel()
        leads = self.leads()
        if self._task is not None:
            await asyncio.wait([self._task])
        try:
            async with asyncio.timeout(RELEASE_S):
                if leads:
                    await self._mark(leads=False)
                    # A renewal that was under way may have come to pass.
                    found = await self._line.ask(self._line.engine.get, "Lease", self._name, self._namespace)
                    self._one = lease.seen(self._one, found, time.monotonic())
                    if found is not None and self._one.holder == self._one.me:
                        await self._write(lease.freed(self._one))
        except (Trouble, TimeoutError) as why:
            log.warning("the next control plane has to wait until the Lease runs out", why=str(why))
        self.lost.set()
        await self._line.close()

    async def _strive(self) -> None:
        """Tries to lead, and then to go on leading; ends when it has been lost."""
        terms, sure = self._one.terms, time.monotonic()
        while True:
            try:
                async with asyncio.timeout(terms.renew_s):
                    await self._try()
            except (Trouble, TimeoutError) as why:
                said = str(why) or "the API server does not answer in time"
                if said != self._trouble:
                    log.warning("the Lease could not be had", why=said)
                self._trouble = said
            else:
                self._trouble = ""
            now = time.monotonic()
            if self._one.leads(now):
                sure = now
                if not self._won.is_set():
                    log.info("leads", lease=self._name)
                    self._won.set()
            elif self._won.is_set() and (self._one.holder != self._one.me or now - sure > self._doubt_s):
                log.error("leads no more", lease=self._name, why=self._trouble or f"{self._one.holder} leads")
                self.lost.set()
                return
            await asyncio.sleep(terms.retry_s)

    async def _try(self) -> None:
        """One attempt.  Raises Trouble."""
        await self._mark(leads=self._won.is_set())
        asked = time.monotonic()
        found = await self._line.ask(self._line.engine.get, "Lease", self._name, self._namespace)
        self._one = lease.seen(self._one, found, time.monotonic())
        if self._won.is_set() and self._one.holder != self._one.me:
            self._one = msgspec.structs.replace(self._one, renewed=None)  # somebody has taken it
            return
        wanted = lease.claim(self._one, found, time.monotonic(), _stamp())
        if wanted is not None:
            try:
                written = await self._write(wanted)
            except Taken:  # one that was deleted was made again by somebody else, who leads now
                self._one = msgspec.structs.replace(self._one, renewed=None)
                raise
            self._one = lease.taken(self._one, written, asked)

    async def _write(self, wanted: Claim) -> Object:
        engine, spec = self._line.engine, wanted.spec
        if wanted.version:
            patch = {"metadata": {"resourceVersion": wanted.version}, "spec": spec}
            return await self._line.ask(engine.patch, "Lease", self._name, patch, self._namespace)
        made = {
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "spec": spec,
            "metadata": {"name": self._name, "namespace": self._namespace, "labels": {
                **MANAGED_BY, INSTALLATION_LABEL: self._name,
            }},
        }  # fmt: skip
        found, _ = await self._line.ask(engine.create, made, _somebody_elses)
        return found

    async def _mark(self, *, leads: bool) -> None:
        """The own pod's label says whether it leads.  What cannot be said now is said the next time."""
        if self._pod is None or self._marked == leads:
            return
        namespace, name = self._pod
        patch = {"metadata": {"labels": {LEADS_LABEL: "true" if leads else None}}}
        try:
            await self._line.ask(self._line.engine.patch, "Pod", name, patch, namespace)
        except Trouble as why:
            log.warning("the own pod could not be marked as the one that leads, or does not", why=str(why))
            return
        self._marked = leads


def _somebody_elses(found: Object, wanted: Object) -> str:
    """A Lease that came to be meanwhile is looked at the next time."""
    if found["spec"].get("holderIdentity") == wanted["spec"]["holderIdentity"]:
        return ""
    return f"Lease {wanted['metadata']['name']} was taken by another control plane just now"


def _stamp() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
