"""Watches: from where, what, and how they end."""

from __future__ import annotations

import httpx
import pytest

from tests.k8s.server.asking import MERGE, Api, config_map


def _now(api: Api) -> str:
    return str(api.done("GET", "configmaps")["metadata"]["resourceVersion"])


def _told(event: dict[str, dict[str, dict[str, str]]]) -> tuple[object, str]:
    return event["type"], event["object"]["metadata"]["name"]


def test_what_happens_after_a_version_is_told_in_order(api: Api) -> None:
    version = _now(api)
    api.create("configmaps", config_map("early"))
    with api.watch("configmaps", resourceVersion=version) as events:
        assert _told(next(events)) == ("ADDED", "early")
        api.create("configmaps", config_map("one"))
        api.done("PATCH", "configmaps", "one", {"data": {"a": "2"}}, content_type=MERGE)
        api.done("DELETE", "configmaps", "one")
        found = [next(events) for _ in range(3)]
        assert list(map(_told, found)) == [("ADDED", "one"), ("MODIFIED", "one"), ("DELETED", "one")]
        versions = [int(one["object"]["metadata"]["resourceVersion"]) for one in found]
        assert versions == sorted(set(versions)), "the end of an object has a version of its own"
        assert found[2]["object"]["data"] == {"a": "2"}
        assert found[0]["object"]["kind"] == "ConfigMap"


def test_a_watch_without_a_version_begins_with_what_is_there(api: Api) -> None:
    api.create("configmaps", config_map("one"))
    for more in ({}, {"resourceVersion": "0"}):
        with api.watch("configmaps", fieldSelector="metadata.name=one", **more) as events:
            assert _told(next(events)) == ("ADDED", "one")


def test_initial_events_end_with_a_bookmark(api: Api) -> None:
    api.create("configmaps", config_map("one"))
    query = {"sendInitialEvents": "true", "allowWatchBookmarks": "true", "resourceVersionMatch": "NotOlderThan"}
    with api.watch("configmaps", fieldSelector="metadata.name=one", **query) as events:
        assert _told(next(events)) == ("ADDED", "one")
        mark = next(events)
        assert mark["type"] == "BOOKMARK"
        assert mark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


def test_what_begins_to_match_is_added_and_what_no_longer_does_is_deleted(api: Api) -> None:
    version = _now(api)
    with api.watch("configmaps", resourceVersion=version, labelSelector="app=x") as events:
        api.create("configmaps", config_map("one", {"app": "y"}))
        api.done("PATCH", "configmaps", "one", {"metadata": {"labels": {"app": "x"}}}, content_type=MERGE)
        api.done(
            "PATCH", "configmaps", "one", {"metadata": {"labels": {"app": "y"}}, "data": {"b": "1"}}, content_type=MERGE
        )
        api.create("configmaps", config_map("two", {"app": "x"}))
        assert _told(next(events)) == ("ADDED", "one")
        gone = next(events)
        assert _told(gone) == ("DELETED", "one")
        assert gone["object"]["metadata"]["labels"] == {"app": "x"}, "as it was when it still matched"
        assert "b" not in gone["object"]["data"]
        assert _told(next(events)) == ("ADDED", "two")


def test_other_namespaces_and_kinds_are_not_told(api: Api) -> None:
    version = _now(api)
    with api.watch("configmaps", resourceVersion=version) as events:
        api.ask("POST", "/api/v1/namespaces/default/configmaps", config_map(f"elsewhere-{api.namespace}"))
        api.create("secrets", {"metadata": {"name": "other"}})
        api.create("configmaps", config_map("mine"))
        assert _told(next(events)) == ("ADDED", "mine")


def test_a_version_that_is_forgotten_is_an_error_event_410(api: Api) -> None:
    version = _now(api)
    api.create("configmaps", config_map("one"))
    api.served.cluster.compact()
    with api.watch("configmaps", resourceVersion=version) as events:
        found = list(events)
    assert [one["type"] for one in found] == ["ERROR"]
    status = found[0]["object"]
    assert (status["kind"], status["code"], status["reason"]) == ("Status", 410, "Expired")
    assert status["message"].startswith(f"too old resource version: {version} (")


def test_a_forgotten_version_of_events_ends_the_watch_without_a_word(api: Api) -> None:
    version = _now(api)
    api.create("configmaps", config_map("one"))
    api.served.cluster.compact()
    with api.watch("events", resourceVersion=version) as events:
        assert list(events) == []


def test_a_watch_that_is_up_to_date_outlives_the_forgetting(api: Api) -> None:
    with api.watch("configmaps", resourceVersion=_now(api)) as events:
        api.create("configmaps", config_map("one"))
        next(events)
        api.served.cluster.compact()
        api.create("configmaps", config_map("two"))
        assert _told(next(events)) == ("ADDED", "two")


def test_a_watch_ends_in_order_after_its_time(api: Api) -> None:
    """By the clock here; by the time that is given below."""
    with api.watch("configmaps", resourceVersion=_now(api), timeoutSeconds=1) as events:
        assert list(events) == []


def test_bookmarks_come_each_minute_and_at_the_end(api: Api) -> None:
    cluster = api.served.cluster
    query = {"allowWatchBookmarks": "true", "timeoutSeconds": 100}
    with api.watch("configmaps", resourceVersion=_now(api), **query) as events:
        cluster.tick(cluster.now + 61)
        first = next(events)
        assert first["type"] == "BOOKMARK"
        assert set(first["object"]) == {"kind", "apiVersion", "metadata"}
        cluster.tick(cluster.now + 61)
        rest = list(events)
        assert [one["type"] for one in rest] == ["BOOKMARK"]
        assert int(rest[0]["object"]["metadata"]["resourceVersion"]) >= int(
            first["object"]["metadata"]["resourceVersion"]
        )


def test_a_dropped_watch_breaks_in_the_middle(api: Api) -> None:
    cluster = api.served.cluster
    with api.watch("configmaps", resourceVersion=_now(api)) as events:
        api.create("configmaps", config_map("one"))
        next(events)
        cluster.drop_watches()
        with pytest.raises(httpx.RemoteProtocolError):
            next(events)


def test_a_silent_watch_tells_later_what_it_kept_to_itself(api: Api) -> None:
    cluster = api.served.cluster
    with api.watch("configmaps", resourceVersion=_now(api)) as events:
        with cluster.watches_silent():
            api.create("configmaps", config_map("one"))
            cluster.tick()
        assert _told(next(events)) == ("ADDED", "one")


def test_a_version_that_is_no_number_is_refused(api: Api) -> None:
    assert api.refused("GET", "configmaps", watch="true", resourceVersion="abc")["code"] == 422
