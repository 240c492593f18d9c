"""Where a wall's view comes from: whoever sets it, the trackers and keys of this wall, or another site's.  Pure.

Everything that may change a frame but the data goes through here and comes out as one numbered look.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple

import msgspec

from renderers.reading import Value, written
from renderers.wall.barrier import Look
from renderers.wall.fitting import noted_screen, placed
from renderers.wall.framing import MAX_NOTE
from renderers.wall.gait import Gait
from renderers.wall.keyboard import typed
from renderers.wall.messages import Picked, Scene
from renderers.wall.records import Wall
from renderers.wall.reel import Reel
from renderers.wall.track.drag import Drag
from renderers.wall.track.poses import Trackers
from renderers.wall.track.sensed import Key, Pointer, Record
from renderers.wall.track.wand import Hand, Ray, Step, picked
from streamer.wire.viewing import Vec3, View

STEP_S = 1 / 60
"""While something moves by itself (a stick that is held, a head that eases back), so often it is looked at."""


class Asked(NamedTuple):
    """Somebody points at something."""

    ray: Ray
    screen: str
    """Where what is said of it shall stand."""


class Scenery:
    """The look of one wall.  Methods that may change it return whether they did."""

    def __init__(self, wall: Wall, trackers: Trackers | None, rate_hz: float = 60.0) -> None:
        self._wall, self._trackers = wall, trackers
        home = View(placement=placed(wall.fit))
        self._hand, self._drag = Hand(home=home), Drag()
        self._screens = {screen.name: screen for screen in wall.screens}
        self._scene = Scene(home, wall.head, wall.eye_separation_mm)
        self._number = 1
        self.views = 1
        """Counts the changes of the view, without those of the head."""
        self._step_at = inf
        self.reel, self.gait = Reel(), Gait(rate_hz)
        self.last_step = 0.0
        """The volume's last step of axis 0, which time cannot be moved beyond."""
        self._asked: list[Asked] = []

    @property
    def look(self) -> Look:
        """What is to be shown now."""
        return Look(self._number, self._scene)

    @property
    def scene(self) -> Scene:
        """What is to be shown now."""
        return self._scene

    def asked(self) -> list[Asked]:
        """Picks that somebody has asked for since; once."""
        found, self._asked = self._asked, []
        return found

    # ------------------------------------------------------------------ what may change it

    def set_view(self, view: View, now: float) -> bool:
        """Somebody sets the view."""
        return self._change(msgspec.structs.replace(self._scene, view=view), now)

    def play(self, steps_per_s: float | None, now: float, *, loop: bool = True) -> bool:
        """Time runs so fast from now on; None: it stops."""
        if steps_per_s is None:
            self.reel.pause()
            return False
        self.reel.loop = loop
        self.reel.pace(steps_per_s, self._scene.view, now)
        view = self.reel.play(self._scene.view, now, self.last_step)
        return self._change(msgspec.structs.replace(self._scene, view=view), now)

    def run_is(self, steps: int, half: Vec3, now: float) -> bool:
        """The run has so many steps and a box of these half sides: it is laid into the room as the wall wants it."""
        self.last_step = max(0.0, steps - 1.0)
        before = self._hand.home
        home = msgspec.structs.replace(before, placement=placed(self._wall.fit, half, steps))
        self._hand.home = home
        if self._scene.view.placement != before.placement:
            return False  # somebody has moved it
        view = msgspec.structs.replace(self._scene.view, placement=home.placement)
        return self._change(msgspec.structs.replace(self._scene, view=view), now)

    def follow(self, scene: Scene, own_head: bool, now: float) -> bool:
        """The other site shows this; ``own_head``: but for a head of ours."""
        here = self._scene
        if own_head:
            scene = msgspec.structs.replace(scene, head=here.head, separation_mm=here.separation_mm)
        if scene.note and scene.noted not in self._screens:
            scene = msgspec.structs.replace(scene, noted=next(iter(self._screens), ""))
        # How much is drawn depends on the machines of this wall.
        return self._change(msgspec.structs.replace(scene, level=here.level), now)

    def sense(self, records: list[Record], now: float) -> bool:
        """Trackers, keys and mice have said this.  Without records: time has passed."""
        if self._trackers is None:
            return False
        scene = self._scene
        for record in records:
            self._trackers.feed(record, now)
            if isinstance(record, Key) and record.pressed:
                scene = self._typed(record.key, scene, now)
        wand = self._trackers.wand(now)
        hand = self._hand.step(scene.view, wand, now, self.last_step)
        self._heed(hand, "", now)
        view = hand.view
        for record in records:
            if isinstance(record, Pointer):
                dragged = self._drag.step(view, record, self._trackers.head(now), self._screens)
                self._heed(dragged, record.screen, now)
                view = dragged.view
        changed = msgspec.structs.replace(scene, view=view, head=self._trackers.head(now))
        moved = changed != self._scene
        self._step_at = now + STEP_S if moved or records else inf
        if moved and records:
            changed = msgspec.structs.replace(changed, sensed_at=now)
        return self._change(changed, now)

    def found(self, asked: Asked, answer: Picked, now: float) -> bool:
        """What somebody pointed at is this object, or none."""
        view = picked(self._scene.view, answer.object_id)
        note = words(answer) if view.selected else ""
        return self._change(msgspec.structs.replace(self._scene, view=view, note=note, noted=asked.screen), now)

    def tick(self, now: float) -> bool:
        """Time has passed: what runs by itself is looked at."""
        changed = self.sense([], now) if now >= self._step_at else False
        view = self.reel.run(self._scene.view, now, self.last_step)
        return self._change(msgspec.structs.replace(self._scene, view=view), now) or changed

    def deadline(self) -> float:
        """When ``tick`` wants to be called."""
        return min(self._step_at, self.reel.deadline(), self.gait.deadline(self._scene.level))

    # ------------------------------------------------------------------ inside

    def _typed(self, key: str, scene: Scene, now: float) -> Scene:
        done = typed(key, scene.view, self.reel, now, self.last_step)
        if done.head == "freeze":
            self._heed(Step(done.view, freeze=True), "", now)
        elif done.head == "reset":
            self._heed(Step(done.view, reset=True), "", now)
            home = self._hand.home
            view = msgspec.structs.replace(done.view, placement=home.placement, time=home.time, planes=home.planes)
            return msgspec.structs.replace(scene, view=view)
        return scene if done.view is scene.view else msgspec.structs.replace(scene, view=done.view)

    def _heed(self, step: Step, screen: str, now: float) -> None:
        """What a step asks for besides the view."""
        assert self._trackers is not None
        if step.reset:
            self._trackers.reset()
        elif step.freeze:
            (self._trackers.freeze if self._trackers.frozen is None else self._trackers.thaw)(now)
        if step.pick is not None:
            there = screen or noted_screen(self._wall.screens, step.view.placement, step.pick)
            self._asked.append(Asked(step.pick, there))

    def _change(self, scene: Scene, now: float) -> bool:
        self.gait.see(scene.view.placement, scene.head, now)
        scene = msgspec.structs.replace(scene, level=self.gait.level(now))
        if scene == self._scene:
            return False
        self.views += scene.view != self._scene.view
        self._scene = scene
        self._number += 1
        return True


def words(found: Picked) -> str:
    """What is said of an object."""
    steps = f"step {found.first}" if found.first == found.last else f"steps {found.first} to {found.last}"
    lines = [f"object {found.object_id}", f"{found.voxels:,} voxels", found.lifetime or steps]
    if found.place:
        lines.append("here: " + ", ".join(found.place))
    if found.value is not None:
        lines.append(f"{found.variable} {written(Value(found.value, found.within, found.beyond), found.units)}".strip())
    return "\n".join(lines)[:MAX_NOTE]
