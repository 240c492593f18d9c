"""What a cluster would not even create: said in events, since there is no pod that could say it."""

from __future__ import annotations

import re
from typing import Literal

from streamer.control.cluster.names import PREFIX, slug
from streamer.control.cluster.observed import Observed, age_s, line, text

OLD_S = 900.0
"""What was refused so long ago, and not again since, was tried with success, or not any more: controllers try at least
every ten minutes."""
_OWNER = re.compile(
    r"(streamer|workers|renderers|archive|(?:relay|wall|conductor)-[0-9]+)(-[b-df-hj-np-tv-xz0-9]{6,10})?"
)
"""A part, or a ReplicaSet of it."""
_QUOTA = re.compile(r"exceeded quota: ([^,]+), requested: (.+?), used: (.+?), limited: (.+)$")
_RANGE = re.compile(r"is forbidden: \[?((?:minimum|maximum) [^\]]+)")
_SECURITY = re.compile(r'violates PodSecurity "([^":]+)[^"]*": (.+)$')

_FOR_WALLS = "tiles use the X server of their node, so a wall's run needs a namespace that enforces only privileged"


def refused(observed: Observed, run_id: str, namespace: str) -> list[tuple[Literal["quota", "refused"], str]]:
    """Sentences about pods of a run that were refused, each once."""
    found: dict[tuple[Literal["quota", "refused"], str], None] = {}
    prefix = f"{PREFIX}-{slug(run_id)}-"
    for event in observed.events:
        about = text(event, "involvedObject", "name") or text(event, "regarding", "name")
        part = _OWNER.fullmatch(about.removeprefix(prefix)) if about.startswith(prefix) else None
        if part is None or text(event, "reason") != "FailedCreate" or age_s(event, observed.now) > OLD_S:
            continue
        whole = event.get("message") or event.get("note")
        words = " ".join(whole.split())[:4000] if isinstance(whole, str) else ""
        who = part[1]
        if over := _QUOTA.search(words):
            quota, asked, used, limited = (line(each) for each in over.groups())
            found["quota", (
                f"the quota {quota} of namespace {namespace} refuses a pod of {who}: it asks for {asked}, {used} is "
                f"used of {limited}; scale down, end other runs, or ask the administrator for more"
            )] = None  # fmt: skip
        elif insecure := _SECURITY.search(words):
            level, why = (line(each) for each in insecure.groups())
            todo = _FOR_WALLS if "hostPath" in why else "take a namespace that allows it, or another image or volume"
            said = f"namespace {namespace} enforces the Pod Security level {level} and refuses {who}: {why}; {todo}"
            found["refused", said] = None
        elif limits := _RANGE.search(words):
            said = f"the limits of namespace {namespace} refuse {who}: {line(limits[1])}; change requests and limits"
            found["refused", said] = None
        elif words:
            found["refused", f"the cluster refuses to create {who}: {line(words)}; ask its administrator"] = None
    return list(found)
