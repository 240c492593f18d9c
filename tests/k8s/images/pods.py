"""Pods as containers of podman: what a kubelet makes of a pod's specification, in so far as runs use it.

Arguments, environment, users, mounts and what is forbidden are those of the pod; it has the address that the tests'
API server gave it, and is found by the names of the Services that select it.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.k8s.images.podman import LABEL, LIFE_S, Podman
from tests.k8s.launcher.machines import Call, Machines
from tests.k8s.server.cluster import Cluster
from tests.k8s.server.kinds import Obj

PART = "cavecast-test-part"
"""The label with a container's name in its pod: ``streamer``, ``worker``."""


class Containers(Machines):
    """Gives a cluster the time, and its pods containers."""

    def __init__(self, cluster: Cluster, folder: Path, podman: Podman, network: str, prefix: str) -> None:
        """``network``: one of podman's, whose addresses begin with ``prefix`` (two numbers)."""
        self._podman, self._network = podman, network
        self.network = prefix
        super().__init__(cluster, folder)

    def close(self) -> None:
        super().close()
        self._podman.remove()

    def _call(self, uid: str, pod: Obj, container: Obj) -> Call | None:
        data, spec, places = pod["metadata"], pod["spec"], self._places(uid, pod, container)
        _hand_over(spec, container, places)
        env = {one["name"]: _value(one, pod) for one in container.get("env", [])}
        called = ["--name", f"{data['name']}-{uid[:8]}", "--hostname", data["name"]]
        words = [
            "podman", "run", "--rm", *called, "--label", LABEL, "--label", f"{PART}={container['name']}",
            "--timeout", str(LIFE_S), "--pull", "never",
            "--network", self._network, "--ip", pod["status"]["podIP"],
            *(word for one in self._services(pod) for word in ("--network-alias", one)),
            *_restrictions(spec["securityContext"], container["securityContext"]),
            *(word for name, value in env.items() for word in ("--env", f"{name}={value}")),
            *(word for one in container["volumeMounts"] for word in ("--volume", _volume(one, places))),
            container["image"], *(_expanded(word, env) for word in container["args"]),
        ]  # fmt: skip
        return Call(words, self._podman.environment)

    def _services(self, pod: Obj) -> list[str]:
        """The names of the Services that lead to a pod."""
        data = pod["metadata"]
        has = (data.get("labels") or {}).items()
        every = self.cluster.every("services", data["namespace"])
        return [one["metadata"]["name"] for one in every if one["spec"]["selector"].items() <= has]


def _restrictions(of_pod: Obj, own: Obj) -> list[str]:
    found = ["--user", f"{of_pod['runAsUser']}:{of_pod['runAsGroup']}", "--group-add", str(of_pod["fsGroup"])]
    if own["readOnlyRootFilesystem"]:
        found += ["--read-only", "--read-only-tmpfs=false"]
    if not own["allowPrivilegeEscalation"]:
        found += ["--security-opt", "no-new-privileges"]
    return [*found, *(word for one in own["capabilities"]["drop"] for word in ("--cap-drop", one.lower()))]


def _hand_over(spec: Obj, container: Obj, places: dict[str, Path]) -> None:
    """Gives the pod's group what it may write, and the files of Secrets the mode that they are to have."""
    volumes, group = {one["name"]: one for one in spec["volumes"]}, spec["securityContext"]["fsGroup"]
    for mount in container["volumeMounts"]:
        volume, path = volumes[mount["name"]], places[mount["mountPath"]]
        if "emptyDir" in volume or "persistentVolumeClaim" in volume:
            os.chown(path, -1, group)
            path.chmod(0o2775)
        elif "secret" in volume:
            for file in path.iterdir():
                os.chown(file, -1, group)
                file.chmod(volume["secret"]["defaultMode"])


def _volume(mount: Obj, places: dict[str, Path]) -> str:
    return f"{places[mount['mountPath']]}:{mount['mountPath']}:{'ro' if mount.get('readOnly') else 'rw'}"


def _value(variable: Obj, pod: Obj) -> str:
    if "value" in variable:
        return str(variable["value"])
    field = variable["valueFrom"]["fieldRef"]["fieldPath"]
    data = pod["metadata"]
    known = {"metadata.name": data["name"], "spec.nodeName": pod["spec"].get("nodeName")}
    known |= {f"metadata.labels['{key}']": value for key, value in (data.get("labels") or {}).items()}
    known |= {f"metadata.annotations['{key}']": value for key, value in (data.get("annotations") or {}).items()}
    return str(known[field])


def _expanded(word: str, env: dict[str, str]) -> str:
    for name, value in env.items():
        word = word.replace(f"$({name})", value)
    return word
