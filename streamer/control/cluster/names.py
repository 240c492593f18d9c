"""What a run's objects are called, and the labels by which they are found again.

Names follow from the run's id and the part alone, so that a second attempt to create an object meets the first one.
A name ends with its part, which is one word, or a word and a number; so two runs never share one.  A StatefulSet puts
its name and ten characters more into a label (63 at most), hence the limit of 52 for all names.
"""

from __future__ import annotations

import hashlib
import re

LONGEST = 52
LONGEST_SLUG = 36
PREFIX = "cc"
RUN_LABEL = "cavecast/run"
PART_LABEL = "cavecast/part"
ROLE_LABEL = "app.kubernetes.io/component"
INSTALLATION_LABEL = "cavecast/installation"
"""Whose runs they are: two control planes of one namespace leave each other's alone."""
RUN_ID = "cavecast/run-id"
SPEC_HASH = "cavecast/spec-hash"
ENDED_AT = "cavecast/ended-at"
WALL = "cavecast/wall"
"""Of what a run has for a wall alone: the wall's name."""
ALL_WALLS = "*"
"""In its place: what all walls of a run share.  No wall can be called so."""
MANAGED_BY = {"app.kubernetes.io/name": "cavecast", "app.kubernetes.io/managed-by": "cavecast"}
_PLAIN = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_SHORTENED = re.compile(r".*-h[0-9a-f]{8}")
_PART = re.compile(r"[a-z]+(-[0-9]+)?")


def slug(run_id: str) -> str:
    """The run's id as names and labels have it: as it is if it can stand there, else shortened, with a digest."""
    if len(run_id) <= LONGEST_SLUG and _PLAIN.fullmatch(run_id) and not _SHORTENED.fullmatch(run_id):
        return run_id
    digest = hashlib.sha256(run_id.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    plain = re.sub(r"[^a-z0-9]+", "-", run_id.lower()).strip("-")[: LONGEST_SLUG - 10].strip("-")
    return f"{plain or 'run'}-h{digest}"


def name(run_id: str, part: str) -> str:
    """The name of a run's object for a part: ``streamer``, ``workers``, ``relay-1`` …"""
    assert _PART.fullmatch(part), part
    found = f"{PREFIX}-{slug(run_id)}-{part}"
    assert len(found) <= LONGEST, found
    return found


def run_labels(run_id: str) -> dict[str, str]:
    """By these labels all objects of a run are found, and no other's."""
    return {"app.kubernetes.io/managed-by": "cavecast", RUN_LABEL: slug(run_id)}


def labels(run_id: str, role: str, part: str = "", installation: str = "") -> dict[str, str]:
    """The labels of an object of a run."""
    whose = {INSTALLATION_LABEL: installation} if installation else {}
    return {**MANAGED_BY, **whose, ROLE_LABEL: role, PART_LABEL: part or role, RUN_LABEL: slug(run_id)}


def selector(run_id: str, part: str) -> dict[str, str]:
    """The labels by which the pods of one part are selected."""
    return {RUN_LABEL: slug(run_id), PART_LABEL: part}
