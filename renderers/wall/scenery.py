"""Where a wall's view comes from: whoever sets it, the trackers of this wall, or the wall of another site.  Pure.

Everything that may change a frame but the data goes through here and comes out as one numbered look.
"""

from __future__ import annotations

import msgspec

from renderers.wall.barrier import Look
from renderers.wall.messages import Scene
from renderers.wall.records import Fit, Wall
from renderers.wall.track.poses import Trackers
from renderers.wall.track.sensed import Record
from renderers.wall.track.wand import Hand
from streamer.wire.viewing import Head, Placement, Quaternion, View

STEP_S = 1 / 60
"""While something moves by itself (a stick that is held, a head that eases back), so often it is looked at."""
_HALF = 0.5**0.5
_UPRIGHT: dict[str, Quaternion] = {
    "x": (_HALF * _HALF, _HALF * _HALF, _HALF * _HALF, _HALF * _HALF),
    "y": (0.0, 0.0, 0.0, 1.0),
    "z": (-_HALF, 0.0, 0.0, _HALF),
}
"""From the scene's axes to the wall's, so that the named one points up."""


def placed(fit: Fit) -> Placement:
    """Where a wall wants the data: the longest side of the box is not longer than ``fit.size_mm``."""
    # The sphere around the box has radius 1 in the scene, so no side is longer than 2.
    return Placement(fit.centre, _UPRIGHT[fit.up], fit.size_mm / 2)


class Scenery:
    """The look of one wall."""

    def __init__(self, wall: Wall, trackers: Trackers | None) -> None:
        self._trackers = trackers
        home = View(placement=placed(wall.fit))
        self._hand = Hand(home=home)
        self._scene = Scene(home, wall.head, wall.eye_separation_mm)
        self._number = 1
        self.last_step = 0.0
        """The volume's last step of axis 0, which time cannot be moved beyond."""

    @property
    def look(self) -> Look:
        """What is to be shown now."""
        return Look(self._number, self._scene)

    def set_view(self, view: View) -> bool:
        """Somebody sets the view; returns whether that changes anything."""
        return self._change(msgspec.structs.replace(self._scene, view=view))

    def follow(self, scene: Scene, own_head: bool) -> bool:
        """The other site shows this; ``own_head``: but for a head of ours."""
        if own_head:
            scene = msgspec.structs.replace(scene, head=self._scene.head, separation_mm=self._scene.separation_mm)
        return self._change(scene)

    def sense(self, records: list[Record], now: float) -> bool:
        """Trackers have said this; returns whether that changes anything.  Without records: time has passed."""
        if self._trackers is None:
            return False
        for record in records:
            self._trackers.feed(record, now)
        step = self._hand.step(self._scene.view, self._trackers.wand(now), now, self.last_step)
        if step.reset:
            self._trackers.reset()
        elif step.freeze:
            (self._trackers.freeze if self._trackers.frozen is None else self._trackers.thaw)(now)
        head: Head = self._trackers.head(now)
        scene = msgspec.structs.replace(self._scene, view=step.view, head=head)
        if scene == self._scene:
            return False
        return self._change(msgspec.structs.replace(scene, sensed_at=now) if records else scene)

    def _change(self, scene: Scene) -> bool:
        if scene == self._scene:
            return False
        self._scene = scene
        self._number += 1
        return True
