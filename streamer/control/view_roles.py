"""What somebody may do with a view of a run that they may see.  Pure.

A view is its run's project's, and whose who made it.  Who sends one of its tokens may what that token allows, and no
more, so that it can be tried.  On a server without accounts nobody owns anything: a private view is for its tokens.
"""

from __future__ import annotations

from typing import Literal

from streamer.control.access.people import Person

Role = Literal["lead", "follow", "look"]
"""Who leads changes the view and makes tokens of it; who follows sees it, and may be handed the lead; who looks sees
it."""


def role(person: Person, project: str, owner: str, *, shared: bool) -> Role | None:
    """What somebody without a token of it may do with a view; None: it is not there for them.

    ``project`` is the run's, ``owner`` the account that made the view (empty: nobody's).
    """
    if person.means == "local":
        return "lead" if shared else None
    if person.has("admin", project) or (owner and person.account == owner):
        return "lead"
    if not shared:
        return None
    return "lead" if person.has("operator", project) else "follow"


def owner_of(person: Person) -> str:
    """Whose a view is that somebody makes."""
    return "" if person.means == "local" else person.account
