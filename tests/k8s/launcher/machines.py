"""The nodes' containers, with real parts of CaveCast in them: what a kubelet would start is started as a process.

The tests' API server says that a pod runs and has an address of 127.0.0.0/8; here its command then runs, listens at
that address, finds its volumes in folders, and ends the pod when it ends.  The time of the cluster is that of the
clock, and what a test adds to it.
"""

from __future__ import annotations

import base64
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import NamedTuple

from streamer.lifeline import Lifeline
from tests.control.parts import CAVECAST, environment
from tests.ending import end
from tests.k8s.server.cluster import Cluster
from tests.k8s.server.kinds import Obj
from tests.k8s.server.podlife import Exit

TICK_S = 0.1
NETWORK = f"127.{44 + os.getpid() % 200}"
"""Of this process alone, so that somebody else's tests on the same machine have other addresses."""
_SERVICE = re.compile(r"tcp://(cc-[a-z0-9-]+):([0-9]+)")
ROLES = ("streamer", "worker", "renderer", "archive", "relay", "conductor", "tile")


class Call(NamedTuple):
    """A process that is to be started."""

    words: list[str]
    environment: dict[str, str]


class Machines:
    """Gives a cluster the time, and its pods processes."""

    network = NETWORK

    def __init__(self, cluster: Cluster, folder: Path, *, real: bool = True) -> None:
        """Not ``real``: pods only say that they run."""
        self.cluster, self.folder, self._real = cluster, folder, real
        self.ahead_s = 0.0
        """How much later it is in the cluster."""
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        """By the pods' uids."""
        self._pods: dict[str, tuple[str, str]] = {}
        self._begun: set[str] = set()
        self._lifeline = Lifeline()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        cluster.network = self.network
        self._thread.start()

    def pass_time(self, seconds: float) -> None:
        """So much time passes in the cluster at once."""
        self.ahead_s += seconds
        self.cluster.advance(seconds)

    def process(self, part: str) -> subprocess.Popen[bytes]:
        """The process of a part's pod."""
        for uid, (_, name) in self._pods.items():
            if f"-{part}" in name and uid in self.running:
                return self.running[uid]
        raise AssertionError(f"no process of {part} among {sorted(self._pods.values())}")

    def close(self) -> None:
        self._stop.set()
        self._thread.join(20)
        assert not self._thread.is_alive()
        for process in self.running.values():
            end(process, signal.SIGKILL)
        self._lifeline.close()

    def _run(self) -> None:
        while not self._stop.wait(TICK_S):
            self.cluster.tick(time.time() + self.ahead_s)
            if self._real:
                with self.cluster.lock:
                    self._look()

    def _look(self) -> None:
        there: dict[str, Obj] = {pod["metadata"]["uid"]: pod for pod in self.cluster.every("pods")}
        for uid, pod in there.items():
            data = pod["metadata"]
            if uid in self.running:
                self._tend(uid, pod)
            elif pod["status"].get("phase") == "Running" and "deletionTimestamp" not in data and self._up(pod):
                self._start(uid, pod)
        for uid in [uid for uid in self.running if uid not in there]:  # deleted by force
            process = self.running.pop(uid)
            end(process, signal.SIGKILL)

    def _up(self, pod: Obj) -> bool:
        """Whether its container is to run now, and not to wait for being started again."""
        return any("running" in one.get("state", {}) for one in pod["status"].get("containerStatuses") or [])

    def _tend(self, uid: str, pod: Obj) -> None:
        data, process = pod["metadata"], self.running[uid]
        code = process.poll()
        log = self._log(uid).read_bytes()[-65536:].decode("utf-8", "replace")
        self.cluster.logs[data["namespace"], data["name"]] = log
        if code is None:
            if "deletionTimestamp" in data and uid not in self._begun:
                self._begun.add(uid)
                process.send_signal(signal.SIGTERM)
            return
        del self.running[uid]
        self.cluster.stubborn.discard(data["name"])
        words = "\n".join(log.splitlines()[-80:])
        self.cluster.exits[uid] = Exit(code if code >= 0 else 128 - code, message="" if code == 0 else words)

    def _start(self, uid: str, pod: Obj) -> None:
        (container,) = pod["spec"]["containers"]
        if not container.get("args") or container["name"] not in ROLES:
            return
        call = self._call(uid, pod, container)
        if call is None:
            return  # the next time
        with self._log(uid).open("ab") as log:
            self.running[uid] = subprocess.Popen(
                call.words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log,
                env=self._lifeline.environment(call.environment), pass_fds=(self._lifeline.fd,), start_new_session=True,
            )  # fmt: skip
        self._pods[uid] = pod["metadata"]["namespace"], pod["metadata"]["name"]
        self.cluster.stubborn.add(pod["metadata"]["name"])

    def _call(self, uid: str, pod: Obj, container: Obj) -> Call | None:
        """What is started for a pod's container; None while a Service that it names leads nowhere."""
        places = self._places(uid, pod, container)
        changed = []
        for word in container["args"]:
            word = word.replace("$(POD_NAME)", pod["metadata"]["name"])
            word = word.replace("$(NODE_NAME)", pod["spec"]["nodeName"])
            for inside, outside in sorted(places.items(), key=lambda one: -len(one[0])):
                if word.startswith(inside):
                    word = str(outside) + word[len(inside) :]
                    break
            word = word.replace("0.0.0.0", pod["status"]["podIP"])
            found = _SERVICE.fullmatch(word)
            if found is not None:
                where = self._behind(pod["metadata"]["namespace"], found[1])
                if not where:
                    return None
                word = f"tcp://{where}:{found[2]}"
            changed.append(word)
        env = {one["name"]: one["value"] for one in container.get("env", []) if "value" in one}
        env = environment(**{key: value for key, value in env.items() if key != "HOME"})
        return Call([str(CAVECAST), *changed], env)

    def _behind(self, namespace: str, service: str) -> str:
        found = self.cluster.get("services", namespace, service)
        if found is None:
            return ""
        wanted = found["spec"]["selector"].items()
        for pod in self.cluster.every("pods", namespace):
            if wanted <= (pod["metadata"].get("labels") or {}).items() and pod["status"].get("podIP"):
                return str(pod["status"]["podIP"])
        return ""

    def _log(self, uid: str) -> Path:
        path = self.folder / f"{uid}.log"
        path.touch()
        return path

    def _places(self, uid: str, pod: Obj, container: Obj) -> dict[str, Path]:
        """For each path in the container, where it is here."""
        volumes = {one["name"]: one for one in pod["spec"]["volumes"]}
        namespace, found = pod["metadata"]["namespace"], dict[str, Path]()
        for mount in container["volumeMounts"]:
            volume, path = volumes[mount["name"]], self.folder / f"{uid}-{mount['name']}"
            if "secret" in volume:
                secret = self.cluster.get("secrets", namespace, volume["secret"]["secretName"])
                assert secret is not None
                path.mkdir(exist_ok=True)
                for item in volume["secret"]["items"]:
                    raw = base64.b64decode(secret["data"][item["key"]])
                    file = path / item["path"]
                    file.touch(0o600)
                    file.write_bytes(raw)
            elif "configMap" in volume:
                there = self.cluster.get("configmaps", namespace, volume["configMap"]["name"])
                assert there is not None
                path.mkdir(exist_ok=True)
                for key, text in there["data"].items():
                    (path / key).write_text(text)
                path = path / mount["subPath"] if "subPath" in mount else path
            elif "persistentVolumeClaim" in volume:
                path = self.folder / f"{namespace}-{volume['persistentVolumeClaim']['claimName']}"
                path.mkdir(exist_ok=True)
            elif "hostPath" in volume:
                path = Path(volume["hostPath"]["path"])
            else:
                path.mkdir(exist_ok=True)
            found[mount["mountPath"]] = path
        return found


def halt(process: subprocess.Popen[bytes]) -> None:
    """As if its node had lost power: it says nothing any more."""
    os.kill(process.pid, signal.SIGSTOP)
