"""Who is answered: this machine, and no page of another site."""

from __future__ import annotations

import pytest

from streamer.control.security import BeyondLoopback, check_host, refusal


@pytest.mark.parametrize("host", ["127.0.0.1:8750", "localhost:8750", "[::1]:8750", "127.0.0.1"])
def test_a_request_to_this_machine_is_answered(host: str) -> None:
    assert refusal(host, None) is None
    assert refusal(host, f"http://{host}") is None


@pytest.mark.parametrize(
    "host", [None, "", "evil.example", "evil.example:8750", "127.0.0.1.evil.example", "10.0.0.1:8750", "[::1", "a]b["]
)
def test_a_foreign_name_that_leads_here_is_refused(host: str | None) -> None:
    assert refusal(host, None) is not None


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:9", "http://localhost:8750", "", "http://["]
)
def test_a_page_of_another_site_is_refused(origin: str) -> None:
    why = refusal("127.0.0.1:8750", origin)
    assert why is not None
    assert "may not use this server" in why


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.org"])
def test_listening_where_others_can_reach_it_is_refused_with_a_way_out(host: str) -> None:
    with pytest.raises(BeyondLoopback, match="ssh -L"):
        check_host(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.1.2.3"])
def test_listening_on_loopback_is_fine(host: str) -> None:
    check_host(host)
