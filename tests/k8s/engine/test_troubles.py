"""Each way in which an API server says no becomes one sentence, and none of them means that something has gone."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.control.cluster.troubles import (
    AlreadyThere,
    Changed,
    Expired,
    NotAllowed,
    NotThere,
    OverQuota,
    Refused,
    Trouble,
    Unanswered,
    of_answer,
    of_silence,
    one_line,
)

SERVER = "https://10.0.0.1:6443"


def answer(code: int, reason: str = "", message: str = "words") -> Trouble:
    body = {"kind": "Status", "reason": reason, "message": message, "code": code}
    return of_answer("create Job cc-1", SERVER, code, json.dumps(body).encode())


@pytest.mark.parametrize(("code", "reason", "kind"), [
    (404, "NotFound", NotThere), (409, "AlreadyExists", AlreadyThere), (409, "Conflict", Changed),
    (410, "Expired", Expired), (422, "Invalid", Refused), (400, "BadRequest", Refused), (413, "", Refused),
    (401, "Unauthorized", NotAllowed), (403, "Forbidden", NotAllowed), (429, "TooManyRequests", Unanswered),
    (500, "InternalError", Unanswered), (503, "", Unanswered), (504, "Timeout", Unanswered), (302, "", Unanswered),
])  # fmt: skip
def test_each_code_has_its_kind(code: int, reason: str, kind: type[Trouble]) -> None:
    assert type(answer(code, reason)) is kind


def test_a_404_that_is_not_the_api_servers_means_nothing_for_the_object() -> None:
    found = of_answer("get Job x", SERVER, 404, b"<html>404 page not found</html>")
    assert type(found) is Refused
    assert not isinstance(found, NotThere)


def test_who_may_not_do_what_and_where() -> None:
    words = (
        'pods is forbidden: User "system:serviceaccount:lab:cc" cannot list resource "pods" in API group '
        '"" in the namespace "lab"'
    )
    assert str(answer(403, "Forbidden", words)) == (
        "create Job cc-1: system:serviceaccount:lab:cc may not list pods in namespace lab; ask the administrator for a "
        "role that allows it"
    )
    words = (
        'daemonsets.apps is forbidden: User "anna" cannot watch resource "daemonsets" in API group '
        '"apps" at the cluster scope'
    )
    assert "anna may not watch daemonsets.apps in the whole cluster" in str(answer(403, "Forbidden", words))


def test_a_quota_says_what_is_used_and_what_to_do() -> None:
    words = (
        'pods "x" is forbidden: exceeded quota: gpus, requested: requests.nvidia.com/gpu=4, used: '
        "requests.nvidia.com/gpu=6, limited: requests.nvidia.com/gpu=8"
    )
    found = answer(403, "Forbidden", words)
    assert type(found) is OverQuota
    assert (
        "the quota gpus refuses it: it asks for requests.nvidia.com/gpu=4, requests.nvidia.com/gpu=6 is used of"
        in str(found)
    )


def test_when_to_come_again_is_kept() -> None:
    assert of_answer("x", SERVER, 429, b"{}", "7").retry_after_s == 7
    assert of_answer("x", SERVER, 429, b"{}", "Wed, 21 Oct").retry_after_s == 0
    assert of_answer("x", SERVER, 503, b"{}").retry_after_s == 0


@given(st.integers(100, 599), st.binary(max_size=2000), st.text(max_size=20))
def test_whatever_comes_is_one_printable_sentence(code: int, body: bytes, retry: str) -> None:
    found = str(of_answer("create Job cc-1", SERVER, code, body, retry))
    assert found.isprintable()
    assert len(found) < 1000


@given(st.text(max_size=5000))
def test_silence_is_one_sentence_too(why: str) -> None:
    found = str(of_silence("list Pod objects", SERVER, why))
    assert found.isprintable()
    assert len(found) < 1000
    assert len(one_line(why)) <= 400
