"""A wall: a DaemonSet with one pod on each of its display nodes, and the conductor.

The pods go where the wall's labels are and nowhere else, and stay there when their node is lost: nobody else has
those screens.  Which tiles a pod shows it reads from a ConfigMap under the name of its node, since a pod is told the
node's name and none of its labels.  A node that has the labels and no tiles is kept out by an affinity to those that
have (``placed``): a pod there would have nothing to show.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from streamer.control.cluster.affinity import on_nodes
from streamer.control.cluster.commands import SEATS, WALL, WALL_FILE, WALL_FOLDER, of_conductor, of_tiles
from streamer.control.cluster.names import PART_LABEL, name, selector
from streamer.control.cluster.names import WALL as WALL_NAME
from streamer.control.cluster.observed import text
from streamer.control.cluster.plan import ClusterPlan, NotPossible, Object, Pod, WallPlan
from streamer.control.cluster.pods import Part, template
from streamer.control.cluster.root import MOST_BYTES, config_map, metadata
from streamer.control.cluster.streaming import deployment

X_SOCKETS = "/tmp/.X11-unix"  # noqa: S108 - where X servers have them
X_COOKIE = "/etc/cavecast/x-authority"
NODE_NAME: Object = {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}


def wall_part(number: int) -> str:
    """What the tiles of the n-th wall are called, from 1."""
    return f"wall-{number}"


def conductor_part(number: int) -> str:
    """What the conductor of the n-th wall is called."""
    return f"conductor-{number}"


def of_wall(found: Object) -> str:
    """For which wall an object is, by its name; ``ALL_WALLS`` for those that they share; empty for all others."""
    return text(found, "metadata", "annotations", WALL_NAME)


def number_of(found: Object) -> int:
    """The number of the wall that an object is for; 0 if it has none."""
    number = text(found, "metadata", "labels", PART_LABEL).rpartition("-")[2]
    return int(number) if number.isdecimal() else 0


def marked(found: Object, wall: str) -> Object:
    """The object as one of a wall."""
    annotations = {**found["metadata"].get("annotations", {}), WALL_NAME: wall}
    return {**found, "metadata": {**found["metadata"], "annotations": annotations}}


def check(wall: WallPlan) -> None:
    """Raises NotPossible, with a sentence, for a wall that a cluster cannot show anything on."""
    if not wall.selector:
        raise NotPossible(
            f"wall {wall.name} has no labels in its selector, so it would be shown by every node of the cluster: write "
            "[selector] with labels into the wall's file"
        )
    if len(wall.text.encode()) > MOST_BYTES:
        raise NotPossible(f"the file of wall {wall.name} is larger than a ConfigMap holds ({MOST_BYTES:,} bytes)")
    _at_wall(wall)


def seats_map(plan: ClusterPlan, wall: WallPlan, seats: Mapping[str, str]) -> Object:
    """Which node shows which part of a wall: a key for each node.  To be replaced when nodes come and go."""
    return config_map(plan, f"seats-{wall.number}", "tile", dict(sorted(seats.items())))


def wall_map(plan: ClusterPlan, wall: WallPlan) -> Object:
    """The wall's file."""
    return config_map(plan, f"file-{wall.number}", "tile", {WALL_FILE: wall.text}) | {"immutable": True}


def conductor(plan: ClusterPlan, wall: WallPlan) -> Object:
    """The conductor of a wall."""
    called = conductor_part(wall.number)
    part = Part(
        called, "conductor", "renderer", of_conductor(plan, wall),
        mounts=(_file_mount(),), volumes=(_file_volume(plan, wall),), ports=(("wall", WALL),),
    )  # fmt: skip
    return deployment(plan, called, "conductor", 1, template(plan, wall.conductor, part), wall.conductor.labels)


def tiles(plan: ClusterPlan, wall: WallPlan) -> Object:
    """The tile processes of a wall, one on each of its nodes.  Raises NotPossible."""
    check(wall)
    called = wall_part(wall.number)
    mounts: list[Object] = [_file_mount(), {"name": "seats", "mountPath": SEATS, "readOnly": True}]
    volumes: list[Object] = [
        _file_volume(plan, wall),
        {"name": "seats", "configMap": {"name": name(plan.run_id, f"seats-{wall.number}")}},
    ]
    env = [NODE_NAME]
    if wall.screen == "x":
        mounts.append({"name": "x", "mountPath": X_SOCKETS})
        volumes.append({"name": "x", "hostPath": {"path": X_SOCKETS, "type": "Directory"}})
        # What the NVIDIA runtime brings into a container: GLX, and no more than is needed.
        env.append({"name": "NVIDIA_DRIVER_CAPABILITIES", "value": "graphics,display,utility"})
        if wall.x_authority:
            mounts.append({"name": "cookie", "mountPath": X_COOKIE, "readOnly": True})
            volumes.append({"name": "cookie", "hostPath": {"path": wall.x_authority, "type": "File"}})
            env.append({"name": "XAUTHORITY", "value": X_COOKIE})
    conducted = conductor_part(wall.number)
    part = Part(
        called, "tile", "renderer", of_tiles(plan, wall, conducted),
        env=tuple(env), mounts=tuple(mounts), volumes=tuple(volumes), away=False,
    )  # fmt: skip
    pod = _at_wall(wall)
    spec = {
        "selector": {"matchLabels": selector(plan.run_id, called)},
        # When a node comes or goes the affinity changes, and no picture blinks for it.
        "updateStrategy": {"type": "OnDelete"},
        "template": template(plan, pod, part),
    }
    about = metadata(plan, called, "tile", pod.labels)
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": about, "spec": spec}


def placed(tiles: Object, nodes: Collection[str]) -> Object:
    """The tile processes on these nodes alone; ``tiles`` were made for all that have the wall's labels."""
    template = tiles["spec"]["template"]
    pod = {**template["spec"], "affinity": on_nodes(template["spec"].get("affinity") or {}, nodes)}
    return {**tiles, "spec": {**tiles["spec"], "template": {**template, "spec": pod}}}


def _at_wall(wall: WallPlan) -> Pod:
    """The pods with the wall's own labels and taints."""
    tolerations = list(wall.pod.tolerations)
    for taint in wall.tolerations:
        key, equals, value = taint.partition("=")
        found = {"key": key, "operator": "Equal", "value": value} if equals else {"key": key, "operator": "Exists"}
        if not key:
            raise NotPossible(f"wall {wall.name} tolerates {taint!r}: write it as key=value, as the taint is called")
        if found not in tolerations:
            tolerations.append(found)
    labels = {**wall.pod.node_selector, **wall.selector}
    return msgspec.structs.replace(wall.pod, node_selector=labels, tolerations=tuple(tolerations))


def _file_mount() -> Object:
    return {"name": "wall", "mountPath": WALL_FOLDER, "readOnly": True}


def _file_volume(plan: ClusterPlan, wall: WallPlan) -> Object:
    return {"name": "wall", "configMap": {"name": name(plan.run_id, f"file-{wall.number}")}}
