"""What the tests of faults share: the undisturbed run, once, and a site for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.faults.site import Outcome, Site, archived, by_itself, opened, spec_in, stranger, volume_of


@pytest.fixture(scope="session")
def right(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What the run comes to when nothing happens, by one worker."""
    folder = tmp_path_factory.mktemp("right")
    with pytest.MonkeyPatch.context() as patch, opened(folder, spec_in(folder)) as site:
        patch.setenv("PYTHONPATH", stranger(folder))
        site.begin()
        archive = site.archive()
        follower = site.follower("only")
        worker = site.worker("only")
        site.until(lambda: follower.complete)
        chunks = follower.chunks
        assert sorted(chunks) == list(range(site.spec.grid.size))
        labels = volume_of(site.spec, follower.log)
        assert np.array_equal(labels, by_itself(site.spec)), "the volume at once, labelled by other code"
        found = Outcome(site.spec, chunks, labels, site.objects(), site.store)
        assert found.objects.total == len(np.unique(labels)) - 1 > 3
        archived(site, archive, found)
        assert worker.wait() == 0
    return found


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, right: Outcome) -> Iterator[Site]:
    """A run whose streamer has not been started."""
    folder: Path = tmp_path_factory.mktemp("f")
    monkeypatch.setenv("PYTHONPATH", stranger(folder))
    with opened(folder, spec_in(folder)) as made:
        yield made
