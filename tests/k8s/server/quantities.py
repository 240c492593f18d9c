"""Quantities of resources (``500m``, ``2Gi``) and what a pod asks for."""

from __future__ import annotations

import re
from decimal import Decimal

from tests.k8s.server.kinds import Obj

_QUANTITY = re.compile(r"^([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|(m|u|n|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei))?$")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
Amounts = dict[str, Decimal]
NATIVE = ("cpu", "memory", "ephemeral-storage")


def quantity(text: object) -> Decimal:
    """Raises ValueError for what is none."""
    found = _QUANTITY.match(str(text))
    if not found:
        raise ValueError(text)
    number, exponent, suffix = Decimal(found[1]), found[2], found[3] or ""
    if exponent:
        return number * Decimal(10) ** int(exponent[1:])
    return number * (Decimal(2) ** _BINARY[suffix] if suffix in _BINARY else Decimal(10) ** _DECIMAL[suffix])


def written(amount: Decimal) -> str:
    """An amount as a quantity: whole numbers, else thousandths."""
    return str(int(amount)) if amount == int(amount) else f"{int(amount * 1000)}m"


def amounts(found: Obj | None) -> Amounts:
    return {name: quantity(value) for name, value in (found or {}).items()}


def added(*many: Amounts) -> Amounts:
    total: Amounts = {}
    for one in many:
        for name, amount in one.items():
            total[name] = total.get(name, Decimal(0)) + amount
    return total


def asked(pod: Obj, which: str = "requests") -> Amounts:
    """What a pod requests (or its limits): the sum of its containers, or its largest init container if that is more."""
    spec = pod["spec"]
    total = added(*(amounts(c.get("resources", {}).get(which)) for c in spec.get("containers", [])))
    for container in spec.get("initContainers", []):
        for name, amount in amounts(container.get("resources", {}).get(which)).items():
            total[name] = max(total.get(name, Decimal(0)), amount)
    return total
