"""A namespace in a cluster for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.k8s.contract.site import Site, sites


@pytest.fixture(scope="session")
def _sites() -> Iterator[Callable[[], Any]]:
    with sites() as make:
        yield make


@pytest.fixture
def site(_sites: Callable[[], Any]) -> Iterator[Site]:
    with _sites() as found:
        yield found
