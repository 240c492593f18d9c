"""Which launcher there is, by the setting: processes of this machine, or objects of a cluster.

The Kubernetes client is an extra, so nothing of it is imported before it is wanted.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec
import zmq.asyncio

from streamer.control.folder import Folder
from streamer.control.leading import Alone, Leadership
from streamer.control.local_launcher import LocalLauncher
from streamer.control.place_lock import PlaceLock
from streamer.control.runs import Run
from streamer.lifeline import Lifeline
from streamer.settings import Settings

if TYPE_CHECKING:
    from streamer.control.cluster.engine import Access
    from streamer.control.cluster.site import Site
    from streamer.control.launching import Launcher

InBooks = Callable[[str], Awaitable[Run | None]]


class CannotLaunch(ValueError):
    """The settings do not go with the launcher: what to set, in a sentence."""

    exit_code = 2


class Parts(NamedTuple):
    """What a launcher is made of."""

    settings: Settings
    folder: Folder
    lifeline: Lifeline
    context: zmq.asyncio.Context
    in_books: InBooks


class Choice(Protocol):
    """A launcher that is still to be made, in the event loop."""

    shared: bool
    """Whether others may have the same folder, so that it is taken by the one that leads."""

    def place(self, folder: Folder) -> str:
        """To which place in the books its runs belong."""
        ...

    async def leadership(self, folder: Folder) -> Leadership:
        """How it is agreed who acts; made once, before the launcher.  Raises NoBooks."""
        ...

    def sure(self) -> bool:
        """Whether anything may be changed at this moment."""
        ...

    def launcher(self, parts: Parts) -> Launcher:
        """The launcher.  Raises OSError, ValueError with a sentence."""
        ...


class Local:
    """Runs are processes of this machine."""

    def __init__(self, settings: Settings) -> None:
        self._database = settings.database or ""
        self.shared = settings.dir is not None and self._database.startswith("postgresql")

    def place(self, folder: Folder) -> str:
        """The folder with their logs."""
        return folder.place()

    async def leadership(self, folder: Folder) -> Leadership:
        """The one that has the database's lock, if there may be others; else the folder's lock lets one alone in."""
        if not self.shared:
            return Alone()
        lock = PlaceLock(self._database, folder.place())
        await lock.check()
        return lock

    def sure(self) -> bool:
        """Always: what another one has taken over, the books do not let change."""
        return True

    def launcher(self, parts: Parts) -> Launcher:
        """The launcher of this machine."""
        return LocalLauncher(parts.settings, parts.folder, parts.lifeline, parts.context)


class Cluster:
    """Runs are objects of a cluster."""

    shared = False

    def __init__(self, site: Site, access: Access, spaces: Mapping[str, str]) -> None:
        """``spaces``: namespaces of projects that have one of their own."""
        from streamer.control.cluster.engine import Engine

        # Those that it follows; the site says which else there are.
        others = tuple(dict.fromkeys((*site.other_namespaces, *spaces.values())))
        self._site, self._access, self._spaces = msgspec.structs.replace(site, other_namespaces=others), access, spaces
        Engine.connect(access).close()  # what is wrong with the kubeconfig is said at once
        self._leads: Callable[[], bool] = lambda: False

    def place(self, folder: Folder) -> str:
        """The installation: its control planes share their books."""
        del folder
        return f"kubernetes/{self._site.installation}"[:64]

    async def leadership(self, folder: Folder) -> Leadership:
        """The one that has the Lease."""
        del folder
        from streamer.control.cluster.engine import Engine, Limits
        from streamer.control.cluster.leadership import LeaseLeadership
        from streamer.control.cluster.lease import Terms

        asked, pod = self._site.lease, os.environ.get("POD_NAME", "")
        namespace = asked.namespace or self._site.namespace
        me = f"{pod or socket.gethostname()}_{secrets.token_hex(4)}"
        own = (os.environ.get("POD_NAMESPACE", "") or namespace, pod) if pod else None
        short = Limits(connect_s=min(1.5, asked.retry_s), read_s=asked.renew_s / 2, whole_s=asked.renew_s / 2)
        found = LeaseLeadership(
            Engine.connect(self._access, short), namespace, asked.name or self._site.installation, me,
            Terms(asked.duration_s, asked.renew_s, asked.retry_s), own, asked.doubt_s,
        )  # fmt: skip
        self._leads = found.leads
        return found

    def sure(self) -> bool:
        """While the Lease is ours for certain."""
        return self._leads()

    def launcher(self, parts: Parts) -> Launcher:
        """The launcher of the cluster."""
        from streamer.control.cluster.engine import Engine
        from streamer.control.cluster.following import ClusterLine
        from streamer.control.cluster.hearing import Rules
        from streamer.control.cluster.launcher import ClusterLauncher

        line = ClusterLine(Engine.connect(self._access), Rules(resync_s=self._site.resync_s))
        return ClusterLauncher(
            parts.settings, self._site, line, self.sure, parts.in_books, parts.context, spaces=self._spaces
        )  # fmt: skip


def chosen(settings: Settings, spaces: Mapping[str, str] | None = None) -> Choice:
    """The launcher that is set; ``spaces`` are the namespaces of projects, by their names.

    Raises CannotLaunch, or what is wrong with the site's file; asks no cluster.
    """
    if settings.launcher == "local":
        return Local(settings)
    if importlib.util.find_spec("kubernetes") is None:
        raise CannotLaunch("launcher is kubernetes, whose client is not installed: pip install 'cavecast[k8s]'")
    if settings.cluster is None:
        raise CannotLaunch("launcher is kubernetes: give the site's file with the setting cluster (docs/cluster.md)")
    if settings.dir is None and settings.database is None:
        raise CannotLaunch(
            "launcher is kubernetes, whose runs outlast this process, but its books would not: set dir or database"
        )
    from streamer.control.cluster.engine import Access
    from streamer.control.cluster.site import load

    site = load(settings.cluster)
    if settings.run_namespaces is not None:
        allowed = {one.strip() for one in settings.run_namespaces.split(",")}
        named = dict.fromkeys((*site.namespaces, *(spaces or {}).values()))
        if lacking := [space for space in named if space not in allowed]:
            raise CannotLaunch(
                f"the site's file or a project has runs in {', '.join(lacking)}, where nobody has given us the rights: "
                f"run_namespaces has {settings.run_namespaces} (in the chart's values: cluster.namespaces)"
            )
    if settings.leader_lease is not None:
        namespace, _, name = settings.leader_lease.partition("/")
        lease = msgspec.structs.replace(site.lease, namespace=namespace, name=name)
        site = msgspec.structs.replace(site, lease=lease)
    kubeconfig = str(settings.kubeconfig or os.environ.get("KUBECONFIG", ""))
    where = {name: os.environ.get(name, "") for name in ("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT")}
    given = str(Path(kubeconfig).expanduser()) if kubeconfig and os.pathsep not in kubeconfig else kubeconfig
    return Cluster(site, Access(given, settings.kube_context or "", where), spaces or {})
