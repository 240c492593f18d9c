"""OPeNDAP addresses, from a server of the tests' own."""

from __future__ import annotations

import time

import numpy as np
import pytest

from inference_workers.source import InputError, engine_xarray, open_source
from streamer.wire.grid import Box
from tests.source.dap import serving
from tests.source.making import globe, look, noise


@pytest.fixture(autouse=True)
def _directly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def test_an_opendap_address_is_a_volume_and_only_the_box_is_asked_for() -> None:
    field = noise((20, 40, 80))  # smaller variables are fetched whole by the C library
    with serving(globe(field)) as server:
        found = look(server.url)
        assert found.source.address == server.url
        assert found.volume.shape == (20, 40, 80)
        assert found.grid.periodic == (False, False, True)
        with open_source(found.source, found.volume) as volume:
            server.asked.clear()
            got = volume.read(Box((2, 3, -1), (4, 5, 2)))
        np.testing.assert_array_equal(got, field[2:4, 3:5][:, :, [-1, 0, 1]])
        data = [asked for asked in server.asked if ".dods?v" in asked]
        assert len(data) == 2, "one request for each side of the seam"
        assert all("v[2:3][3:4]" in asked.replace(":1:", ":") for asked in data)


def test_a_server_that_is_not_there_is_named_at_once() -> None:
    with serving(globe()) as server:
        gone = server.url
    with pytest.raises(InputError, match=r"127\.0\.0\.1:\d+/it cannot be reached .*refused"):
        look(gone)


def test_an_address_that_the_server_does_not_know_is_named() -> None:
    with serving(globe()) as server, pytest.raises(InputError, match=r"answers 404 .* without \.html or \.dds"):
        look(server.url.replace("/it", "/other"))


def test_a_page_that_is_no_data_set_is_named() -> None:
    with serving(globe()) as server:
        server.page = b"<html>Welcome</html>"
        with pytest.raises(InputError, match="is no OPeNDAP address"):
            look(server.url)


def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_xarray, "CONNECT_S", 0.3)
    began = time.monotonic()
    with serving(globe(), silent=True) as server, pytest.raises(InputError, match=r"cannot be reached .*timed out"):
        look(server.url)
    assert time.monotonic() - began < 10


def test_a_server_that_falls_silent_while_reading_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(globe()) as server:
        found = look(server.url)
        volume = open_source(found.source, found.volume)
        monkeypatch.setattr(engine_xarray, "READ_S", 0.3)
        server.silent = True
        with pytest.raises(InputError, match=r"did not answer within 0\.3 s"):
            volume.read(Box((0, 0, 0), (2, 2, 2)))
        server.stop.set()
        volume.close()
