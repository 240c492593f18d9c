"""Names of objects, and quantities."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from streamer.control.cluster.names import LONGEST, LONGEST_SLUG, labels, name, run_labels, selector, slug
from streamer.control.cluster.plan import Gpu, Needs, NotPossible
from streamer.control.cluster.quantity import MOST, amount, check, resources

PARTS = st.one_of(
    st.sampled_from(["run", "streamer", "workers", "renderers", "archive", "keys", "log", "netdeny"]),
    st.builds(
        "{}-{}".format, st.sampled_from(["relay", "wall", "conductor", "seats", "file", "trackers"]), st.integers(1, 99)
    ),
)
PLAIN = st.from_regex(r"[a-z0-9]+(-[a-z0-9]+){0,4}", fullmatch=True)
RUN_IDS = st.one_of(st.text(min_size=1, max_size=80), PLAIN)


@given(RUN_IDS, PARTS)
def test_a_name_is_one_that_a_cluster_takes_and_leaves_room_for_what_controllers_add(run_id: str, part: str) -> None:
    found = name(run_id, part)
    assert re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", found)
    assert len(found) <= LONGEST == 63 - len("-0123456789")
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", slug(run_id))


@given(RUN_IDS, RUN_IDS, PARTS, PARTS)
def test_no_two_objects_share_a_name_whatever_runs_and_relays_are_called(a: str, b: str, one: str, other: str) -> None:
    assume((a, one) != (b, other))
    assert name(a, one) != name(b, other)


@given(RUN_IDS)
def test_a_slug_is_its_own_slug_only_if_nothing_was_changed(run_id: str) -> None:
    found = slug(run_id)
    if found == run_id:
        assert len(run_id) <= LONGEST_SLUG
    else:
        # What looks as if it had been shortened is shortened again, so that it cannot stand for another run.
        assert slug(found) != found


def test_a_run_id_as_the_control_plane_makes_them_stays_as_it_is() -> None:
    assert slug("rivers-1a2b3c4d") == "rivers-1a2b3c4d"
    assert name("rivers-1a2b3c4d", "relay-2") == "cc-rivers-1a2b3c4d-relay-2"
    assert slug("Rivers_2021.nc") == "rivers-2021-nc-h" + slug("Rivers_2021.nc")[-8:]


@given(RUN_IDS, PARTS)
def test_an_objects_labels_are_found_by_its_runs_and_its_parts_selector(run_id: str, part: str) -> None:
    found = labels(run_id, "worker", part)
    assert run_labels(run_id).items() <= found.items()
    assert selector(run_id, part).items() <= found.items()
    assert all(re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", value) for value in found.values())


# ------------------------------------------------------------ quantities


@pytest.mark.parametrize(("text", "value"), [
    ("500m", Fraction(1, 2)), ("2", 2), ("1.5", Fraction(3, 2)), ("4Gi", 4 << 30), ("4G", 4 * 10**9), ("1e3", 1000),
    ("1E", 10**18), ("1Ei", 1 << 60), ("100u", Fraction(1, 10_000)), (".5", Fraction(1, 2)), ("5.", 5),
    ("2E-1", Fraction(1, 5)),
])  # fmt: skip
def test_a_quantity_is_read_as_kubernetes_reads_it(text: str, value: Fraction) -> None:
    assert amount(text) == value


@pytest.mark.parametrize("text", ["", "much", "4 Gi", "1KiB", "1e", "--1", "1.2.3", "0x10", "٣", "1" * 50])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(NotPossible, match="is no quantity"):
        amount(text)


@given(st.integers(1, 10**6), st.integers(0, 10**6))
def test_a_limit_is_allowed_exactly_up_to_a_fifth_above_its_request(request: int, above: int) -> None:
    needs = Needs(requests={"memory": f"{request}Mi"}, limits={"memory": f"{request + above}Mi"})
    if request + above <= MOST * request:
        check("the worker", needs)
        assert resources("the worker", needs, Gpu())["limits"] == needs.limits
    else:
        with pytest.raises(NotPossible, match="at most 20 % more"):
            check("the worker", needs)


@pytest.mark.parametrize(("needs", "sentence"), [
    (Needs(requests={"cpu": "1"}), "the worker has a request of cpu and no limit"),
    (Needs(limits={"cpu": "1"}), "the worker has a limit of cpu and no request"),
    (Needs(requests={"cpu": "2"}, limits={"cpu": "1"}), "the limit is to be the request or at most 20 % more"),
    (Needs(requests={"cpu": "0"}, limits={"cpu": "0"}), "give a quantity above 0"),
    (Needs(requests={"a.b/c": "5"}, limits={"a.b/c": "6"}), "devices are whole, so give one number"),
    (Needs(requests={"cpu": "two"}, limits={"cpu": "2"}), "'two' is no quantity"),
])  # fmt: skip
def test_needs_that_do_not_go_together_are_refused_in_words(needs: Needs, sentence: str) -> None:
    with pytest.raises(NotPossible, match=sentence):
        check("the worker", needs)


@pytest.mark.parametrize("gpu", [Gpu(count=-1), Gpu(count=1, resource="gpu")])
def test_a_gpu_that_is_none_is_refused(gpu: Gpu) -> None:
    with pytest.raises(NotPossible, match=r"such as nvidia\.com/gpu"):
        resources("the worker", Needs(), gpu)
