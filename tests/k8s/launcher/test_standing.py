"""What is due for a run, case by case: facts and the time in, changes out; no cluster is needed."""

from __future__ import annotations

import msgspec
import pytest

from streamer.control import booking, lives
from streamer.control.booking import Booking
from streamer.control.cluster import affinity, memories, people, standing
from streamer.control.cluster.changes import Patch
from streamer.control.cluster.facts import FOLLOWED, Facts, Key, key_of
from streamer.control.cluster.logs import lines
from streamer.control.cluster.memories import Memory
from streamer.control.cluster.names import labels
from streamer.control.cluster.observed import dig
from streamer.control.cluster.plan import ClusterPlan, Object
from streamer.control.cluster.standing import Drop, Make, Step
from streamer.control.onwall import OnWall
from streamer.control.runs import Run
from tests.k8s.manifests.plans import everything, made, smallest, spec_of

RUN = "rivers-1a2b3c4d"
NAME = f"cc-{RUN}"
HEARD = frozenset((*FOLLOWED, "Event"))


def record(**more: object) -> Run:
    booked = Booking(spec_of(RUN), {"input": "a.nc"}, workers=2, title="Rivers")
    return msgspec.structs.replace(booking.record(booked), **{"state": "running", **more})


def there(plan: ClusterPlan, *without: Key) -> dict[Key, Object]:
    """All of a run's objects as they were made."""
    every = {key_of(one): msgspec.json.decode(msgspec.json.encode(one)) for one in made(plan)}
    return {key: one for key, one in every.items() if key not in without and key[0] != "Secret"}


def decided(
    objects: dict[Key, Object], memory: Memory | None = None, now: float = 0.0, plan: ClusterPlan | None = None,
    wanted: Run | None = None, heard: frozenset[str] = HEARD, words: str = "", pods: tuple[Object, ...] = (),
) -> Step:  # fmt: skip
    plan = plan or smallest()
    keys = [key for key in there(plan) if key != ("ConfigMap", f"{NAME}-run")]
    facts = Facts({**objects, **{key_of(pod): pod for pod in pods}}, heard, words, clock=1_767_225_600.0)
    memory = memory or memories.begun(lives.Life(state="running"), 0.0)
    shown = people.shown(facts.of("Pod"), plan)
    return standing.decide(plan, wanted or record(), keys, facts, shown, memory, now, idle_s=60.0, finish_s=20.0)


def test_when_all_is_there_nothing_is_due() -> None:
    assert decided(there(smallest())).actions == ()


def test_only_what_is_not_there_for_certain_is_made_and_not_again_at_once() -> None:
    gone = ("Service", f"{NAME}-streamer"), ("Job", f"{NAME}-workers")
    objects = there(smallest(), *gone)
    first = decided(objects)
    assert first.actions == (Make(gone[0]), Make(gone[1]))
    assert decided(objects, heard=HEARD - {"Service"}).actions == (Make(gone[1]),)
    assert decided(objects, first.memory, 4.9).actions == ()
    assert decided(objects, first.memory, 5.0).actions == first.actions


def test_what_somebody_deletes_again_and_again_ends_the_run() -> None:
    key = ("Service", f"{NAME}-streamer")
    memory, now, times = None, 0.0, 0
    while times < 20:
        memory = decided(there(smallest()), memory, now).memory  # it is there
        step = decided(there(smallest(), key), memory, now + 6)
        memory, now, times = step.memory, now + 12, times + 1
        if step.memory.life.over:
            break
        assert step.actions == (Make(key),)
    assert times == memories.MOST_AGAIN + 1
    assert memory is not None
    assert memory.life.error == (
        f"Service {key[1]} was deleted by somebody else 6 times within 10 minutes: see who does so, and start again"
    )


def test_numbers_are_patched_until_they_are_so() -> None:
    objects = there(smallest())
    wanted = record(workers=5)
    (patch,) = decided(objects, wanted=wanted).actions
    assert patch == Patch("Job", f"{NAME}-workers", {"spec": {"parallelism": 5, "completions": 5}})
    objects["Job", f"{NAME}-workers"]["spec"] |= {"completions": 5, "parallelism": 3}  # a queue lets three begin
    assert decided(objects, wanted=wanted).actions == ()
    objects["StatefulSet", f"{NAME}-streamer"]["spec"]["replicas"] = 0
    assert decided(objects, wanted=wanted).actions == (
        Patch("StatefulSet", f"{NAME}-streamer", {"spec": {"replicas": 1}}),
    )


def test_what_was_refused_is_said_only_as_long_as_it_is_due() -> None:
    objects = there(smallest())
    job, service = ("Job", f"{NAME}-workers"), ("Service", f"{NAME}-streamer")
    more, as_is = record(workers=5), record()
    memory = memories.refused(decided(objects, wanted=more).memory, " ".join(job), "the quota refuses it")
    # Also while it need not be asked for again.
    later = decided(objects, memory, 1.0, wanted=more)
    assert (later.actions, later.remarks) == ((), ("the quota refuses it",))
    assert decided(objects, later.memory, 9.0, wanted=more).remarks == ("the quota refuses it",)
    assert decided(objects, later.memory, 9.0, wanted=as_is).remarks == (), "nobody wants it any more"
    memory = memories.refused(memories.begun(lives.Life(state="running"), 0.0), " ".join(service), "it is not allowed")
    gone = there(smallest(), service)
    assert decided(gone, memory).remarks == ("it is not allowed",)
    assert decided(gone, memory, heard=HEARD - {"Service"}).remarks == ("it is not allowed",), "it may be due"
    assert decided(objects, memory).remarks == (), "somebody else has made it"


def test_a_renderer_is_there_while_somebody_looks_and_a_while_longer() -> None:
    memory = memories.begun(lives.Life(), 0.0)
    assert [memories.renderers(memory, 60.0, now) for now in (0.0, 59.9, 60.0)] == [1, 1, 0]
    memory = memories.looked(memory, 1, 100.0)
    assert memories.renderers(memory, 60.0, 9999.0) == 1
    memory = memories.looked(memories.looked(memory, 0, 200.0), 0, 250.0)
    assert [memories.renderers(memory, 60.0, now) for now in (259.9, 260.0)] == [1, 0]


def test_silence_is_spoken_of_after_a_moment_in_words_that_stay() -> None:
    memory = decided(there(smallest()), now=100.0, words="it does not answer").memory
    assert decided(there(smallest()), memory, 102.0, words="it does not answer").remarks == ()
    later = decided(there(smallest()), memory, 103.0, words="it does not answer")
    assert later.remarks == ("it does not answer; the run goes on, and is shown as it was before that",)
    assert decided(there(smallest()), later.memory, 104.0).remarks == ()


def pod(part: str, role: str, code: int, message: str) -> Object:
    ended = {"terminated": {"exitCode": code, "reason": "Error", "message": message}}
    return {
        "kind": "Pod", "metadata": {"name": f"{NAME}-{part}-0", "labels": {
            **labels(RUN, role, part), "batch.kubernetes.io/job-completion-index": "0",
        }},
        "status": {"phase": "Failed", "containerStatuses": [{"name": role, "state": ended, "restartCount": 0}]},
    }  # fmt: skip


def test_wrong_use_fails_the_run_and_any_other_end_does_not() -> None:
    def life(code: int) -> lives.Life:
        found = pod("workers", "worker", code, "trace\ncavecast: there is no segmenter 'x'")
        return decided(there(smallest()), pods=(found,)).memory.life

    assert life(2).error == "worker-1 could not start: there is no segmenter 'x'"
    assert [life(code).state for code in (1, 75, 137)] == ["running"] * 3


def test_a_job_that_was_given_up_fails_the_run_and_a_store_that_is_whole_completes_it() -> None:
    plan = everything()
    objects = there(plan)
    archive = objects["Job", f"{NAME}-archive"]
    life = msgspec.structs.replace(lives.new({}, archive=True), state="running")
    life = lives.told(life, "complete")
    assert life.state == "running"
    archive["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}
    assert decided(objects, memories.begun(life, 0.0), plan=plan).memory.life.state == "complete"
    archive["status"] = {"conditions": [{"type": "Failed", "status": "True", "message": "BackoffLimitExceeded"}]}
    failed = decided(objects, memories.begun(life, 0.0), plan=plan).memory.life
    assert failed.state == "failed"
    assert f"the cluster gave up the job {NAME}-archive: BackoffLimitExceeded" in str(failed.error)


def test_workers_that_have_all_ended_though_the_run_goes_on_are_made_anew() -> None:
    objects = there(smallest())
    job = objects["Job", f"{NAME}-workers"]
    job["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}
    step = decided(objects, now=100.0)
    assert step.actions == ()
    step = decided(objects, step.memory, 100.0 + standing.IDLE_JOB_S)
    assert step.actions == (Drop(("Job", f"{NAME}-workers"), job),)
    over = lives.told(lives.Life(state="running", archived=True), "complete")
    assert not [one for one in decided(objects, memories.begun(over, 0.0), 500.0).actions if isinstance(one, Drop)]


def test_what_we_make_anew_ourselves_is_not_taken_for_somebody_elses_deed() -> None:
    key, life = ("Job", f"{NAME}-workers"), lives.Life(state="running")
    at_work, ended, leaving = (there(smallest()) for _ in range(3))
    for one in (ended, leaving):
        one[key]["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}
    leaving[key]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    memory, now = memories.begun(life, 0.0), 0.0
    for _ in range(2 * memories.MOST_AGAIN):  # well within the ten minutes
        memory = decided(at_work, memory, now).memory
        memory = decided(ended, memory, now + 1).memory
        for again in (31, 32):  # that it is being deleted may be heard a moment later
            step = decided(ended, memory, now + again)
            assert [type(one) for one in step.actions] == [Drop]
            memory = step.memory
        memory = decided(leaving, memory, now + 33).memory
        step = decided(there(smallest(), key), memory, now + 34)
        assert step.actions == (Make(key),)
        memory, now = step.memory, now + 40
    assert memory.life == life
    # Somebody else's deleting it still counts.
    memory = decided(at_work, memory, now).memory
    memory = decided(there(smallest(), key), decided(leaving, memory, now + 1).memory, now + 10).memory
    assert len(memory.again[key]) == 1


def test_a_cancelled_run_has_so_long_and_one_that_never_began_has_no_need_of_it() -> None:
    wanted = record(cancelling=True)
    step = decided(there(smallest()), wanted=wanted)
    assert step.memory.life.state == "running"
    assert decided(there(smallest()), step.memory, 19.9, wanted=wanted).memory.life.state == "running"
    assert decided(there(smallest()), step.memory, 20.0, wanted=wanted).memory.life.state == "cancelled"
    never = memories.begun(lives.Life(state="starting"), 0.0)
    assert decided(there(smallest()), never, wanted=wanted).memory.life.state == "cancelled"
    unheard = decided(there(smallest()), never, wanted=wanted, heard=frozenset()).memory.life
    assert unheard.state == "starting"


def test_a_run_that_is_over_keeps_its_streamer_and_says_when_it_ended() -> None:
    over = memories.begun(lives.Life(state="complete"), 0.0)
    gone = there(smallest(), ("Job", f"{NAME}-workers"))
    (patch,) = decided(gone, over).actions
    assert patch == Patch(
        "ConfigMap", f"{NAME}-run", {"metadata": {"annotations": {"cavecast/ended-at": "2026-01-01T00:00:00+00:00"}}}
    )
    away = standing.put_away(RUN, Facts(there(everything()), HEARD))
    dropped = {one.key for one in away if isinstance(one, Drop)}
    assert dropped == {(kind, f"{NAME}-{part}") for kind, part in (
        ("Job", "workers"), ("Job", "archive"), ("NetworkPolicy", "netconductor"), ("NetworkPolicy", "nettile"),
        ("NetworkPolicy", "netwallfeed"), ("NetworkPolicy", "netwallrelay"),
        *((kind, f"{part}-{number}") for number in (1, 2) for kind, part in (
            ("DaemonSet", "wall"), ("Deployment", "conductor"), ("Service", "conductor"), ("ConfigMap", "file"),
            ("ConfigMap", "seats"), ("NetworkPolicy", "trackers"),
        )),
    )}  # fmt: skip
    patched = {one.name for one in away if isinstance(one, Patch)}
    assert {f"{NAME}-streamer", f"{NAME}-renderers", f"{NAME}-relay-1"} <= patched


def test_all_that_serves_a_run_comes_back_when_it_is_served_again() -> None:
    plan = everything()
    objects = there(plan, ("Job", f"{NAME}-workers"), ("Job", f"{NAME}-archive"))
    for patch in standing.put_away(RUN, Facts(objects, HEARD)):
        if isinstance(patch, Patch):
            objects[patch.kind, patch.name]["spec"]["replicas"] = 0
    looked_at = memories.begun(lives.opened({}, "complete"), 0.0)
    again = [one for one in decided(objects, looked_at, plan=plan).actions if isinstance(one, Patch)]
    back = {one.name for one in again if "replicas" in one.body.get("spec", {})}
    assert back == {f"{NAME}-{part}" for part in ("streamer", "renderers", "relay-1", "relay-2")}


@pytest.mark.parametrize(("state", "was_there", "gone"), [
    ("starting", False, False), ("starting", True, True), ("running", False, True),
])  # fmt: skip
def test_a_root_that_is_missed_means_something_only_if_it_was_there(state: str, was_there: bool, gone: bool) -> None:
    wanted = record(state=state)
    assert bool(standing.root_gone(wanted, Facts(heard=HEARD), was_there=was_there)) is gone
    assert standing.root_gone(wanted, Facts(), was_there=was_there) == "", "nobody has heard that it is gone"


def test_seats_follow_the_nodes_and_nobody_moves() -> None:
    plan = everything()
    objects = there(plan)
    nodes: list[Object] = [
        {"metadata": {"name": name, "labels": {"topology.kubernetes.io/zone": "ucsd-suncave"}}} for name in ("n1", "n2")
    ]
    facts = Facts(objects, HEARD, nodes=nodes)
    seats = objects["ConfigMap", f"{NAME}-seats-1"]
    seats["data"] = {"n2": "column-0", "gone": "column-1"}
    memory = memories.begun(lives.Life(state="running"), 0.0)
    keys = [key for key in objects if key != ("ConfigMap", f"{NAME}-run")]
    step = standing.decide(plan, record(workers=50), keys, facts, [], memory, 0.0, idle_s=60.0, finish_s=20.0)
    (patch,) = [one for one in step.actions if isinstance(one, Patch) and one.name.endswith("seats-1")]
    assert patch.body == {"data": {"gone": None, "n2": "column-0", "n1": "column-1"}}
    # Tiles are where seats are; what a site asks of the nodes besides is asked of each of them.
    (patch,) = [one for one in step.actions if isinstance(one, Patch) and one.name.endswith("wall-1")]
    (wall,) = [one for one in plan.walls if one.number == 1]
    terms = patch.body["spec"]["template"]["spec"]["affinity"]["nodeAffinity"][affinity.NEEDED]["nodeSelectorTerms"]
    assert terms == affinity.terms(wall.pod.affinity, ["n2", "n1"])
    tiles = objects["DaemonSet", f"{NAME}-wall-1"]
    tiles["spec"]["template"]["spec"]["affinity"] = {"nodeAffinity": {affinity.NEEDED: {"nodeSelectorTerms": terms}}}
    step = standing.decide(plan, record(workers=50), keys, facts, [], memory, 0.0, idle_s=60.0, finish_s=20.0)
    assert not [one for one in step.actions if isinstance(one, Patch) and one.name.endswith("wall-1")]


def test_a_sites_own_affinity_holds_on_each_of_a_walls_nodes() -> None:
    disk = {"key": "disk", "operator": "Exists"}
    fast, rack = {"matchExpressions": [disk]}, {"matchFields": [disk]}
    asked: Object = {"nodeAffinity": {affinity.NEEDED: {"nodeSelectorTerms": [fast, rack]}}, "podAffinity": {}}

    def called(name: str) -> Object:
        return {"key": "metadata.name", "operator": "In", "values": [name]}

    assert affinity.terms(asked, ["b", "a"]) == [
        {"matchExpressions": [disk], "matchFields": [called("a")]}, {"matchFields": [disk, called("a")]},
        {"matchExpressions": [disk], "matchFields": [called("b")]}, {"matchFields": [disk, called("b")]},
    ]  # fmt: skip
    assert affinity.terms({}, ["a"]) == [{"matchFields": [called("a")]}]
    assert affinity.terms(asked, []) == [affinity.NOBODY]
    placed = affinity.on_nodes(asked, ["a"])
    assert (placed["podAffinity"], asked["nodeAffinity"][affinity.NEEDED]["nodeSelectorTerms"]) == ({}, [fast, rack])


def test_nobody_moves_while_it_is_not_known_which_nodes_there_are() -> None:
    plan = everything()
    objects = there(plan)
    seats = objects["ConfigMap", f"{NAME}-seats-1"]
    seats["data"] = {"n2": "column-0"}
    keys = [key for key in objects if key != ("ConfigMap", f"{NAME}-run")]
    memory = memories.begun(lives.Life(state="running"), 0.0)

    def step(why: str) -> Step:
        facts = Facts(objects, HEARD, nodes_why=why)
        return standing.decide(plan, record(workers=50), keys, facts, [], memory, 0.0, idle_s=60.0, finish_s=20.0)

    assert step("").memory.seats[1] == {"n2": "column-0"}, "the API server is silent"
    assert not [one for one in step("").actions if isinstance(one, Patch) and "seats" in one.name]
    assert step("not allowed").memory.seats[1] == {"n2": "column-0"}, "nodes may not be listed any more"
    assert not [one for one in step("not allowed").actions if isinstance(one, Patch) and "seats-1" in one.name]
    # Of a wall that is new nothing is made before it is known who sits where.
    del objects["ConfigMap", f"{NAME}-seats-1"], objects["DaemonSet", f"{NAME}-wall-1"]
    assert [one for one in step("").actions if isinstance(one, Make)] == []


def test_what_is_there_for_walls_goes_when_no_wish_for_them_is_left() -> None:
    plan = everything()
    objects = there(plan)

    def dropped(shown: ClusterPlan, *wanted: str) -> set[str]:
        walls = tuple(OnWall(name=name) for name in wanted)
        memory = memories.begun(lives.Life(state="running"), 0.0)
        step = standing.decide(
            shown, record(workers=50, walls=walls), [], Facts(objects, HEARD), [], memory, 0.0, idle_s=60.0,
            finish_s=20.0,
        )  # fmt: skip
        return {f"{one.key[0]} {one.key[1].removeprefix(f'{NAME}-')}" for one in step.actions if isinstance(one, Drop)}

    none = msgspec.structs.replace(plan, walls=())
    first = {
        "DaemonSet wall-1", "Deployment conductor-1", "Service conductor-1", "ConfigMap file-1", "ConfigMap seats-1",
        "NetworkPolicy trackers-1",
    }  # fmt: skip
    second = {one.replace("-1", "-2") for one in first}
    shared = {f"NetworkPolicy net{one}" for one in ("conductor", "tile", "wallfeed", "wallrelay")}
    assert dropped(plan, "suncave", "desk") == set()
    assert dropped(none, "suncave", "desk") == set(), "it has not been told of them yet"
    assert dropped(none, "desk") == first
    assert dropped(none) == first | second | shared
    moved = msgspec.structs.replace(plan, walls=(msgspec.structs.replace(plan.walls[1], number=3),))
    assert dropped(moved, "desk") == first | second, "what stays of an earlier time has another number"


def test_pods_are_shown_under_names_that_people_know() -> None:
    def one(part: str, role: str, phase: str, made_at: str, index: str = "", **more: object) -> Object:
        its = {**labels(RUN, role, part), **({"batch.kubernetes.io/job-completion-index": index} if index else {})}
        return {
            "kind": "Pod", "metadata": {"name": f"{part}-{made_at}", "labels": its, "creationTimestamp": made_at},
            "status": {"phase": phase, "conditions": [{"type": "Ready", "status": "True"}] * (phase == "Running")},
            **more,
        }  # fmt: skip

    pods = [
        one("workers", "worker", "Failed", "1", "0"), one("workers", "worker", "Running", "2", "0"),
        one("workers", "worker", "Pending", "1", "10"), one("relay-2", "relay", "Running", "1"),
        one("streamer", "streamer", "Running", "3"), one("conductor-2", "conductor", "Running", "1"),
        one("wall-1", "tile", "Running", "1", spec={"nodeName": "cave-1"}),
        one("renderers", "renderer", "Succeeded", "1"),
    ]  # fmt: skip
    found = people.standings(people.shown(pods, everything()))
    assert [(part.name, part.state, part.restarts) for part in found] == [
        ("streamer", "running", 0), ("relay-far_away", "running", 0), ("worker-1", "running", 1),
        ("worker-11", "starting", 0), ("renderer", "ended", 0),
        ("conductor:desk", "running", 0), ("tile:suncave:cave-1", "running", 0),
    ]  # fmt: skip
    assert dig(pods, 0, "status", "phase") == "Failed"


def test_lines_of_a_log_are_ours_or_whatever_they_are() -> None:
    raw = '{"event": "committed", "chunk": 3, "level": "debug", "timestamp": "2026-01-01T00:00:00Z"}\n\n{no json\n[1]\n'
    assert [(one.time, one.part, one.level, one.text) for one in lines("worker-1", raw)] == [
        ("2026-01-01T00:00:00Z", "worker-1", "debug", "committed chunk=3"),
        ("", "worker-1", "info", "{no json"), ("", "worker-1", "info", "[1]"),
    ]  # fmt: skip


def test_whatever_is_done_to_something_of_walls_is_about_walls_alone() -> None:
    objects = there(everything())
    tiles, workers = ("DaemonSet", f"{NAME}-wall-1"), ("Job", f"{NAME}-workers")
    seats, root = Patch("ConfigMap", f"{NAME}-seats-1", {}), Patch("ConfigMap", f"{NAME}-run", {})
    for wall, other in (
        (Make(tiles), Make(workers)), (Drop(tiles, objects[tiles]), Drop(workers, objects[workers])), (seats, root),
    ):  # fmt: skip
        assert standing.for_wall(wall, objects, objects)
        assert not standing.for_wall(other, objects, objects)


def test_a_line_of_a_log_can_be_written_whatever_a_part_said() -> None:
    (one,) = lines("worker-1", '{"event": "no file a\\udcff.nc", "level": "error", "seen": "\\u0000"}')
    assert one.text == "no file a\\udcff.nc seen=\\x00"
    assert msgspec.json.decode(msgspec.json.encode(one), type=type(one)) == one
