"""Who somebody is to the control plane, and what they may do where.  Pure.

A role is held in a project and includes those below it: viewers look, operators start and change runs, admins remove
them and hand out tokens.  An administrator of the server is admin of every project, those of runs that nobody has
configured any more included.  ``metrics`` is no step of that ladder: it reads the figures of all runs and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

Role = Literal["viewer", "operator", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
Means = Literal["local", "session", "bearer", "token"]
"""How somebody has proved who they are; ``local``: they need not, on a server of this machine without accounts."""
DEFAULT = "default"
"""The project of a server without an access configuration, and of runs from before there were any."""


class Person(NamedTuple):
    """Somebody, or some machine, that has been let in."""

    account: str
    """What tells them from all others: ``ISSUER/SUBJECT``, or ``token:NAME``."""
    name: str
    """As people know them."""
    means: Means
    roles: Mapping[str, Role] = {}
    """By project."""
    administrator: bool = False
    metrics: bool = False
    email: str = ""

    def role_in(self, project: str) -> Role | None:
        """Their role in a project; None if they are to know nothing of it."""
        return "admin" if self.administrator else self.roles.get(project)

    def has(self, role: Role, project: str) -> bool:
        """Whether they may do in a project what takes a role."""
        return at_least(self.role_in(project), role)

    def somewhere(self, role: Role) -> bool:
        """Whether they have a role in any project at all."""
        return self.administrator or any(at_least(held, role) for held in self.roles.values())

    @property
    def projects(self) -> frozenset[str] | None:
        """The projects that they may see; None for all there are."""
        return None if self.administrator else frozenset(self.roles)


LOCAL = Person("local", "local", "local", {DEFAULT: "admin"}, administrator=True, metrics=True)
"""Whoever reaches a server without accounts, which only this machine can."""


def at_least(held: Role | None, wanted: Role) -> bool:
    """Whether a role includes another one."""
    return held is not None and ROLES.index(held) >= ROLES.index(wanted)


def highest(roles: list[Role]) -> Role:
    """The one that includes all others."""
    return max(roles, key=ROLES.index)
