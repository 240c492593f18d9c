"""A cluster for each test: with real parts in its pods, or with pods that only say that they run."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.k8s.launcher.machines import Machines
from tests.k8s.launcher.world import World, world


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as found:
        yield found


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[World]:
    """A cluster whose pods only say that they run."""
    with world(tmp_path, partial(Machines, real=False)) as found:
        yield found
