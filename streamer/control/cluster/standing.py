"""How a run in a cluster stands, and what is due: facts, what is wanted and the time in; changes to be made out.  Pure.

    followers ─► Facts ─┐                     ┌─► Life, remarks, parts ─► the run's record
    the books ─► Run  ──┼─► ``decide`` ─► Step┤
    streamer ─► Life  ──┘        ▲  │         └─► actions ─► API server ─► (heard by the followers)
                              Memory┘

An object is made only if it is not there for certain; what an API server that does not answer might have, is left
alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from streamer.control import lives
from streamer.control.cluster import affinity, changes, memories
from streamer.control.cluster.changes import Patch
from streamer.control.cluster.facts import Facts, Key, finished, going
from streamer.control.cluster.memories import Memory
from streamer.control.cluster.names import ALL_WALLS, ENDED_AT, name, selector
from streamer.control.cluster.observed import Observed, called, dig, items, text
from streamer.control.cluster.people import Shown, wrong_use
from streamer.control.cluster.plan import ClusterPlan, Object
from streamer.control.cluster.readable import findings
from streamer.control.cluster.seating import display_nodes, seat
from streamer.control.cluster.walls import number_of, of_wall, wall_part
from streamer.control.lives import Life
from streamer.control.runs import Run

WHERE_TILES_ARE = ("spec", "template", "spec", "affinity", "nodeAffinity", affinity.NEEDED, "nodeSelectorTerms")
IDLE_JOB_S = 30.0
"""So long after all workers have ended the streamer may take to say that the run is complete."""
SILENT_S = 3.0
"""So long an API server may be silent before it is spoken of."""


class Make(NamedTuple):
    """Create an object of the run."""

    key: Key


class Drop(NamedTuple):
    """Delete an object, with all that it owns."""

    key: Key
    found: Object


Action = Make | Drop | Patch


class Step(NamedTuple):
    """What follows."""

    memory: Memory
    actions: tuple[Action, ...] = ()
    remarks: tuple[str, ...] = ()


def decide(
    plan: ClusterPlan, wanted: Run, made: Sequence[Key], facts: Facts, people: Sequence[Shown], memory: Memory,
    now: float, *, idle_s: float, finish_s: float,
) -> Step:  # fmt: skip
    """What is due for a run whose root is there.  ``made``: what it consists of besides its Secret, in order."""
    memory = memories.heard(memory, facts, now)
    memory = msgspec.structs.replace(memory, life=_life(plan, facts, people, memory.life))
    if wanted.cancelling and memory.cancelling_since is None:
        memory = msgspec.structs.replace(memory, cancelling_since=now)
    never = memory.life.state == "starting" and "Pod" in facts.heard  # its streamer has nothing to write
    if memory.cancelling_since is not None and (never or now - memory.cancelling_since >= finish_s):
        memory = msgspec.structs.replace(memory, life=lives.cancelled(memory.life))
    memory = msgspec.structs.replace(memory, seats=_seats(plan, facts, memory))
    memory, idle = _idle(plan, facts, memory, now)
    actions: list[Action] = [*idle]
    due: list[Action] = [*idle]  # with what was asked for a moment ago
    for drop in _taken_off(plan, wanted, facts):
        due.append(drop)
        if not memories.asked(memory, f"drop {drop.key}", now):
            memory = memories.noted(memory, f"drop {drop.key}", now)
            actions.append(drop)
    unseated = {
        (kind, name(plan.run_id, f"{part}-{wall.number}")) for wall in plan.walls if wall.number not in memory.seats
        for kind, part in (("ConfigMap", "seats"), ("DaemonSet", "wall"))
    }  # fmt: skip
    for key in made:
        if (memory.life.over and key[0] == "Job") or key in unseated:
            continue
        if not facts.missing(key):
            continue
        due.append(Make(key))
        if not memories.asked(memory, f"make {key}", now):
            memory = memories.making(memory, key, now)
            if memory.life.over and memory.life.state == "failed":
                break
            actions.append(Make(key))
    for patch in _patches(plan, wanted, facts, memory, idle_s, now):
        due.append(patch)
        what = f"{about(patch)} {msgspec.json.encode(patch.body).decode()}"
        if not memories.asked(memory, what, now):
            memory = memories.noted(memory, what, now)
            actions.append(patch)
    memory = memories.due(memory, {about(one) for one in due}, facts)
    observed = Observed(
        pods=facts.of("Pod"), jobs=facts.of("Job"), nodes=facts.nodes, events=facts.events, now=facts.clock
    )
    remarks = [finding.sentence for finding in findings(observed, plan.run_id, plan.namespace)]
    remarks += memory.refused.values()
    if memory.silent_since is not None and now - memory.silent_since >= SILENT_S:
        remarks.append(f"{facts.words}; the run goes on, and is shown as it was before that")
    return Step(memory, tuple(actions), tuple(dict.fromkeys(remarks)))


def put_away(run_id: str, facts: Facts) -> tuple[Action, ...]:
    """What ends all processes of a run and keeps its log; of walls nothing is kept."""
    found: list[Action] = [
        Drop(key, one) for key, one in facts.objects.items() if (key[0] == "Job" or of_wall(one)) and not going(one)
    ]
    found += [
        Patch("Deployment", one["metadata"]["name"], {"spec": {"replicas": 0}})
        for one in facts.of("Deployment") if dig(one, "spec", "replicas") != 0 and not of_wall(one)
    ]  # fmt: skip
    streamer = facts.objects.get(("StatefulSet", name(run_id, "streamer")))
    if streamer is not None and dig(streamer, "spec", "replicas") != 0:
        found.append(changes.scale_streamer(run_id, 0))
    return tuple(found)


def about(action: Action) -> str:
    """Kind and name of what a change is about."""
    return f"{action.kind} {action.name}" if isinstance(action, Patch) else " ".join(action.key)


def for_wall(action: Action, there: Mapping[Key, Object], made: Mapping[Key, Object]) -> bool:
    """Whether a change is about something of walls.  ``there``: what the run has; ``made``: what it is to have."""
    match action:
        case Make():
            found = made[action.key]
        case Drop():
            found = action.found
        case Patch():
            found = there.get((action.kind, action.name), {})
    return bool(of_wall(found))


def iso(clock: float) -> str:
    """A time as it is written into a root."""
    return datetime.fromtimestamp(clock, UTC).isoformat(timespec="seconds")


def ended_at(root: Object) -> str:
    """When a run ended, as its root has it; empty if it has not."""
    return text(root, "metadata", "annotations", ENDED_AT)


def root_gone(wanted: Run, facts: Facts, *, was_there: bool) -> str:
    """Why a run cannot go on whose root somebody has taken away; empty if that is not so."""
    key = "ConfigMap", name(wanted.run_id, "run")
    found = facts.objects.get(key)
    if found is not None and going(found):
        return f"its ConfigMap {key[1]} is being deleted by somebody else, and all that it owns with it"
    if found is None and facts.missing(key) and (was_there or wanted.state != "starting"):
        return f"its ConfigMap {key[1]} was deleted by somebody else, and all that it owned with it"
    return ""


# ------------------------------------------------------------ the parts of a decision


def _life(plan: ClusterPlan, facts: Facts, people: Sequence[Shown], life: Life) -> Life:
    """What the cluster alone can tell of the run's course; the rest is told by its streamer."""
    if life.over:
        return life
    if why := wrong_use(one for one in people if one.role in ("worker", "streamer", "archive")):
        return lives.failed(life, why)
    for part in ("workers", "archive"):
        job = facts.objects.get(("Job", name(plan.run_id, part)))
        how = "" if job is None or going(job) else finished(job)
        if how == "Complete" and part == "archive":
            life = lives.archived(life)
        elif how == "Failed" and not (part == "workers" and life.ended):
            observed = Observed(pods=facts.of("Pod"), jobs=[job] if job is not None else [])
            said = [one.sentence for one in findings(observed, plan.run_id, plan.namespace)]
            life = lives.failed(life, next(reversed(said), f"the cluster gave up the {part}"))
    return life


def _idle(plan: ClusterPlan, facts: Facts, memory: Memory, now: float) -> tuple[Memory, list[Action]]:
    """Workers that have all ended in order, though the run goes on, cannot come back: their Job is made anew."""
    job = facts.objects.get(("Job", name(plan.run_id, "workers")))
    life = memory.life
    if job is None or going(job) or finished(job) != "Complete" or life.over or life.ended or life.state == "starting":
        return msgspec.structs.replace(memory, idle_jobs_since=None), []
    since = memory.idle_jobs_since if memory.idle_jobs_since is not None else now
    memory = msgspec.structs.replace(memory, idle_jobs_since=since)
    if now - since < IDLE_JOB_S:
        return memory, []
    drop = Drop(("Job", job["metadata"]["name"]), job)
    return memories.dropping(memory, drop.key), [drop]


def _seats(plan: ClusterPlan, facts: Facts, memory: Memory) -> dict[int, Mapping[str, str]]:
    """Who shows what of each wall.  Nobody moves because the API server is silent."""
    seats = dict[int, Mapping[str, str]]()
    for wall in plan.walls:
        before = memory.seats.get(wall.number) or _written(plan, wall.number, facts)
        if facts.nodes is not None:
            seats[wall.number] = seat(wall, display_nodes(facts.nodes, wall.selector), before).seats
        elif facts.nodes_why:
            seats[wall.number] = seat(wall, None, before).seats
        elif before:
            seats[wall.number] = before
    return seats


def _taken_off(plan: ClusterPlan, wanted: Run, facts: Facts) -> list[Drop]:
    """What is there for walls that the run is not to be shown on any more.

    Of a wall that is wanted, and of which this control plane has not been told yet, all stays as it is.
    """
    numbers = {wall.number: wall.name for wall in plan.walls}
    awaited = {wall.name for wall in wanted.walls} - set(numbers.values())
    if wanted.walls or plan.walls:
        awaited.add(ALL_WALLS)
    return [
        Drop(key, one) for key, one in facts.objects.items()
        if (wall := of_wall(one)) and wall not in awaited and numbers.get(number_of(one)) != wall and not going(one)
    ]  # fmt: skip


def _written(plan: ClusterPlan, number: int, facts: Facts) -> Mapping[str, str]:
    found = facts.objects.get(("ConfigMap", name(plan.run_id, f"seats-{number}")))
    return (found or {}).get("data") or {}


def _patches(plan: ClusterPlan, wanted: Run, facts: Facts, memory: Memory, idle_s: float, now: float) -> list[Patch]:
    """What is otherwise than it is wanted."""
    run_id, found = plan.run_id, list[Patch]()
    job = facts.objects.get(("Job", name(run_id, "workers")))
    at_work = job is not None and not (going(job) or finished(job) or memory.life.over or memory.life.ended)
    # It is not asked how many run at once: a queue (Kueue) may let fewer begin.
    if at_work and dig(job, "spec", "completions") != wanted.workers:
        found.append(changes.scale_workers(run_id, wanted.workers))
    count = memories.renderers(memory, idle_s, now)
    drawn = facts.objects.get(("Deployment", name(run_id, "renderers")))
    if drawn is not None and dig(drawn, "spec", "replicas") != count:
        found.append(changes.scale_renderers(run_id, count))
    streamer = facts.objects.get(("StatefulSet", name(run_id, "streamer")))
    if streamer is not None and dig(streamer, "spec", "replicas") != 1:
        found.append(changes.scale_streamer(run_id, 1))
    for number in range(1, len(plan.relays) + 1):  # renderers of a run that is served again may be behind one
        relay = facts.objects.get(("Deployment", name(run_id, f"relay-{number}")))
        if relay is not None and dig(relay, "spec", "replicas") != 1:
            found.append(changes.start_relay(run_id, number))
    top = facts.objects.get(("ConfigMap", name(run_id, "run")))
    if memory.life.over and top is not None and not going(top) and not ended_at(top):
        found.append(changes.ended(run_id, iso(facts.clock)))
    for number, seats in memory.seats.items():
        there = facts.objects.get(("ConfigMap", name(run_id, f"seats-{number}")))
        if there is not None and (there.get("data") or {}) != seats:
            found.append(changes.seats(run_id, number, there.get("data") or {}, seats))
    for wall in plan.walls:
        tiles = facts.objects.get(("DaemonSet", name(run_id, wall_part(wall.number))))
        if tiles is not None and wall.number in memory.seats:
            terms = affinity.terms(wall.pod.affinity, memory.seats[wall.number])
            if list(items(tiles, *WHERE_TILES_ARE)) != terms:
                found.append(changes.placed(run_id, wall.number, terms))
    return found


def first_ready(facts: Facts, run_id: str, part: str) -> Object | None:
    """The pod of a part that serves: the oldest, so that all viewers of a run meet in one."""
    wanted = selector(run_id, part).items()
    pods = [
        pod for pod in facts.of("Pod")
        if wanted <= (dig(pod, "metadata", "labels") or {}).items()
        and dig(pod, "status", "phase") == "Running" and not going(pod)
        and any(
            one.get("type") == "Ready" and one.get("status") == "True" for one in dig(pod, "status", "conditions") or []
        )
    ]  # fmt: skip
    return min(pods, key=lambda pod: (text(pod, "metadata", "creationTimestamp"), called(pod)), default=None)
