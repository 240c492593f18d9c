"""podman with settings of its own, and the project's images, built once for all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

import pytest

from tests.k8s.images import building
from tests.k8s.images.podman import SETTINGS, Podman


@pytest.fixture(scope="session")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    assert os.geteuid() == 0, "debootstrap has to be root; leave these tests out with ARGS=\"-k 'not containers'\""
    settings = tmp_path_factory.mktemp("podman") / "containers.conf"
    settings.write_text(SETTINGS)
    found = Podman(settings)
    yield found
    found.remove()


@pytest.fixture(scope="session")
def images(podman: Podman, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The image of each role."""
    base, folder = building.base(podman), tmp_path_factory.mktemp("build")
    return {role: building.built(podman, role, base, folder) for role in building.ROLES}
