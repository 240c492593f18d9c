"""The run in every rule about which pods may be together, and the nodes that a wall's pods may be on.

A rule such as "no two workers on one node" would otherwise count the pods of older runs too, which may still be
ending or be looked at for days, and a new run would find no node.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from streamer.control.cluster.names import RUN_LABEL, slug
from streamer.control.cluster.plan import Object

NEEDED = "requiredDuringSchedulingIgnoredDuringExecution"
NOBODY: Object = {"matchExpressions": [{"key": "cavecast/no-node", "operator": "Exists"}]}
"""What no node is: a list of terms may not be empty."""


def of_run(affinity: Object, run_id: str) -> Object:
    """An affinity whose pod (anti-)affinity is about this run's pods only; node affinity is left as it is."""
    found = dict(affinity)
    for kind in ("podAffinity", "podAntiAffinity"):
        rules = found.get(kind)
        if not isinstance(rules, dict):
            continue
        rules = dict(rules)
        required, preferred = (f"{how}DuringSchedulingIgnoredDuringExecution" for how in ("required", "preferred"))
        if rules.get(required):
            rules[required] = [_term(term, run_id) for term in rules[required]]
        if rules.get(preferred):
            rules[preferred] = [
                {**weighted, "podAffinityTerm": _term(weighted.get("podAffinityTerm", {}), run_id)}
                for weighted in rules[preferred]
            ]
        found[kind] = rules
    return found


def terms(affinity: Object, nodes: Collection[str]) -> list[Object]:
    """The terms of a node affinity that allows these nodes alone, and of them those that it allowed anyhow.

    Nodes are told by their names, one to a term as the API wants it; their label ``kubernetes.io/hostname`` may be
    another's as well.
    """
    before = dict(affinity.get("nodeAffinity") or {}).get(NEEDED) or {}
    every: list[Object] = before.get("nodeSelectorTerms") or [{}]
    found = []
    for node in sorted(nodes):
        field = {"key": "metadata.name", "operator": "In", "values": [node]}
        found += [{**one, "matchFields": [*(one.get("matchFields") or ()), field]} for one in every]
    return found or [NOBODY]


def on_nodes(affinity: Object, nodes: Collection[str]) -> Object:
    """An affinity to these nodes alone."""
    placed = {**(affinity.get("nodeAffinity") or {}), NEEDED: {"nodeSelectorTerms": terms(affinity, nodes)}}
    return {**affinity, "nodeAffinity": placed}


def spread_of_run(constraints: Sequence[Object], run_id: str) -> list[Object]:
    """topologySpreadConstraints that count this run's pods only."""
    return [_term(one, run_id) for one in constraints]


def _term(term: Object, run_id: str) -> Object:
    selector = dict(term.get("labelSelector") or {})
    selector["matchLabels"] = {**selector.get("matchLabels", {}), RUN_LABEL: slug(run_id)}
    return {**term, "labelSelector": selector}
