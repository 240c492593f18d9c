"""Kubernetes' quantities (``500m``, ``2Gi``), and whether what a pod requests goes with its limits.

A pod may use what it has asked for, and a fifth more: a cluster that is promised little and used much takes nodes
down, and several sites evict pods whose limits are far above their requests.
"""

from __future__ import annotations

import re
from fractions import Fraction

from streamer.control.cluster.plan import Gpu, Needs, NotPossible

MOST = Fraction(6, 5)
"""Limits over requests."""
_POWERS = {"": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18, "m": -3, "u": -6, "n": -9}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_QUANTITY = re.compile(
    r"([+-]?[0-9]{1,40}(?:\.[0-9]{0,40})?|[+-]?\.[0-9]{1,40})(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?[0-9]{1,3}))?"
)


def amount(text: str) -> Fraction:
    """What a quantity stands for.  Raises NotPossible if it is none."""
    found = _QUANTITY.fullmatch(text)
    if found is None:
        raise NotPossible(f"{text!r} is no quantity: write it as 500m, 2, 4Gi")
    number, unit, exponent = Fraction(found[1]), found[2] or "", found[3]
    if exponent is not None:
        return number * Fraction(10) ** int(exponent)
    return number * (Fraction(1024) ** _BINARY[unit] if unit in _BINARY else Fraction(10) ** _POWERS[unit])


def check(whose: str, needs: Needs) -> None:
    """Raises NotPossible, with a sentence, unless each limit is between its request and a fifth more."""
    for what in sorted({*needs.requests, *needs.limits}):
        asked, most = needs.requests.get(what), needs.limits.get(what)
        if asked is None or most is None:
            lacks, has = ("request", "limit") if asked is None else ("limit", "request")
            raise NotPossible(
                f"{whose} has a {has} of {what} and no {lacks}: give both, at most 20 % apart, so that the cluster "
                "can plan with what is really used"
            )
        low, high = amount(asked), amount(most)
        if low <= 0:
            raise NotPossible(f"{whose} requests {asked} of {what}: give a quantity above 0, or leave it out")
        if "/" in what and low != high:
            raise NotPossible(
                f"{whose} requests {asked} of {what} and is limited to {most}: devices are whole, so give one number"
            )
        if not low <= high <= MOST * low:
            raise NotPossible(
                f"{whose} requests {asked} of {what} and is limited to {most}: the limit is to be the request or at "
                "most 20 % more"
            )


def resources(whose: str, needs: Needs, gpu: Gpu) -> dict[str, dict[str, str]]:
    """A container's ``resources``.  Raises NotPossible."""
    check(whose, needs)
    if gpu.count < 0 or "/" not in gpu.resource:
        raise NotPossible(
            f"{whose} asks for {gpu.count} of {gpu.resource!r}: give 0 or more of a resource such as nvidia.com/gpu"
        )
    if gpu.count and gpu.resource in needs.limits:
        raise NotPossible(f"{whose} names {gpu.resource} among its needs and as its GPU: once is enough")
    devices = {gpu.resource: str(gpu.count)} if gpu.count else {}
    found = {"requests": {**needs.requests, **devices}, "limits": {**needs.limits, **devices}}
    return {key: value for key, value in found.items() if value}
