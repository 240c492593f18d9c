"""The show: what the feed says becomes what the theatre has on its stage.

Entries are carried out in the order of the log, each one whole, so every picture is "as of position n".
Chunks are made once; merges and verdicts only give colours anew.  When nothing else is to be done, chunks
whose neighbours have come since are softened again.  Time is an argument here too.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Any

import structlog

from renderers.dates import moment
from renderers.entries import Arrived, Event, Started, There, Told
from renderers.legend import Facts
from renderers.reading import Found, lifetime_of, place_of
from renderers.scene import Scene
from renderers.staging import unplaced
from renderers.vtk_scene import Theatre
from renderers.vtk_window import Pixels
from streamer.wire.batch import Present
from streamer.wire.view import Camera
from streamer.wire.viewing import Vec3, View
from streamer.wire.volume import RunSpec

LARGEST = 8
MOST_TURNS = 256
"""Objects whose colours the page is told, because they are not those of their ids."""
ROUGH_S = 0.4
"""After so long without news, chunks are softened again although not all their neighbours have come."""
NOTHING = Facts("", 0, 0, 0, "", ())


class Show:
    """One run at a time in one window."""

    def __init__(self, window: Any, *, steady: bool = False) -> None:
        """``steady``: what is drawn follows from the position in the log and the view alone (see ``ripen``)."""
        self._window, self._steady = window, steady
        self._view = View()
        self._spec: RunSpec | None = None
        self._scene: Scene | None = None
        self._theatre: Theatre | None = None
        self._troubles: dict[str, str] = {}
        """What is wrong, by what it is about."""
        self._facts: tuple[int, Facts] | None = None
        self._turns: dict[str, int] = {}
        self._newest: dict[int, int] = {}
        """The entry of each chunk in the scene."""
        self._coming: set[int] = set()
        """Entries of the present state that have not come whole."""
        self._lattice = False
        self._news_at = -inf
        self._rough = False
        self._log = structlog.get_logger("renderer")
        self.version = 0
        """Counts what can be seen to change."""

    @property
    def ready(self) -> bool:
        """Whether there is a run to be drawn."""
        return self._theatre is not None

    @property
    def position(self) -> int:
        """All entries of the log before this one are in the picture."""
        return 0 if self._scene is None else self._scene.position

    @property
    def triangles(self) -> int:
        """Triangles of the scene as it is at rest."""
        return 0 if self._theatre is None else self._theatre.triangles

    @property
    def theatre(self) -> Theatre | None:
        """What is on the stage, once there is a run."""
        return self._theatre

    # ------------------------------------------------------------------ what happens

    def happen(self, event: Event, now: float) -> None:
        """Carries out what the feed says."""
        match event:
            case Started(spec):
                self._start(spec, now)
            case Told(sentence, about):
                self._troubles[about] = sentence
            case There(present):
                self._stand(present, now)
            case Arrived():
                self._enter(event, now)

    def _start(self, spec: RunSpec, now: float) -> None:
        if self._theatre is not None:
            self._theatre.close()
        structlog.contextvars.bind_contextvars(run=spec.run_id)
        self._newest.clear()
        self._coming.clear()
        self._troubles.pop("store", None)
        self._spec, self._scene = spec, Scene(spec.grid)
        self._theatre = Theatre(self._window, spec, steady=self._steady)
        self._seen()
        self._log.info("run opened", chunks=spec.grid.size, shape=spec.grid.shape)
        self._news(now)

    def _stand(self, present: Present, now: float) -> None:
        """All that is known of the objects, before the chunks come that carry them."""
        if self._scene is None:
            return
        self._recolour(self._scene.merge(present.merges))
        self._recolour(self._scene.judge(present.verdicts))
        self._scene.fail(present.failed.tolist())
        self._scene.state, self._scene.position = present.end, present.head
        self._coming = set(present.numbers.tolist())
        self._news(now)

    def _enter(self, entry: Arrived, now: float) -> None:
        scene, theatre = self._scene, self._theatre
        if scene is None or theatre is None:
            return
        if entry.piece is not None:
            if not entry.piece.level:
                self._coming.discard(entry.number)
            if entry.number < self._newest.get(entry.piece.chunk, -1):
                return  # it was fetched, and a newer one has come meanwhile
            self._newest[entry.piece.chunk] = entry.number
            changed = scene.arrive(entry.piece)
            theatre.put(entry.piece, scene.look(entry.piece.chunk))
            self._recolour(changed - {entry.piece.chunk})
        elif entry.kind == "merges" and entry.pairs is not None:
            self._recolour(scene.merge(entry.pairs))
        elif entry.kind == "verdicts" and entry.pairs is not None:
            self._recolour(scene.judge(entry.pairs))
        elif entry.kind == "evicted":
            self._coming.add(entry.number)  # its labels are being looked for
        elif entry.kind == "failed":
            scene.fail(entry.chunks)
        elif entry.kind == "end":
            scene.state = entry.state
            self._log.info("run ended", state=entry.state, triangles=theatre.triangles, mb=theatre.nbytes >> 20)
        if not entry.fetched:
            scene.position = entry.number + 1
        self._news(now)

    def _recolour(self, chunks: Iterable[int]) -> None:
        assert self._scene is not None
        assert self._theatre is not None
        for chunk in chunks:
            self._theatre.recolour(chunk, self._scene.look(chunk))

    def _news(self, now: float) -> None:
        self.version += 1
        self._news_at = now
        self._lattice = self._rough = True

    # ------------------------------------------------------------------ quiet moments

    @property
    def busy(self) -> bool:
        """Whether ``tidy`` has something to do at once."""
        return self._theatre is not None and self._theatre.unfinished

    def rest_s(self, now: float) -> float:
        """How long until ``tidy`` has something to do if nothing comes."""
        return max(0.0, self._news_at + ROUGH_S - now) if self._rough and self._theatre is not None else inf

    def tidy(self, now: float) -> bool:
        """Softens one chunk again whose neighbourhood has changed; False if there is none to do now."""
        if self._theatre is None:
            return False
        quiet = now >= self._news_at + ROUGH_S
        if self._theatre.polish(all_neighbours=not quiet) is None:
            self._rough = self._rough and not quiet
            return False
        self.version += 1
        return True

    @property
    def over(self) -> bool:
        """Whether the run has ended and all its chunks have come whole."""
        return self._scene is not None and self._scene.state in ("complete", "cancelled") and not self._coming

    @property
    def settled(self) -> bool:
        """Whether the picture stays as it is if nothing new happens in the run."""
        return self._theatre is None or not (self._theatre.rough or self._coming)

    # ------------------------------------------------------------------ what is seen

    def look(self, view: View, now: float) -> None:
        """From now on the run is shown so; whatever run that is."""
        view = unplaced(view)
        if view == self._view:
            return
        self._view = view
        if self._theatre is not None:
            self._seen()
            self._news(now)

    def _seen(self) -> None:
        assert self._scene is not None
        assert self._theatre is not None
        self._troubles["view"] = self._theatre.apply(self._view)
        self._recolour(self._scene.select(self._view.selected, isolate=self._view.isolate))

    def pick(self, origin: Vec3, direction: Vec3) -> Found | None:
        """The object that a ray in the scene meets first, as far as it has come; None if it meets none."""
        spec, scene, theatre = self._spec, self._scene, self._theatre
        if spec is None or scene is None or theatre is None:
            return None
        met = theatre.pick(origin, direction, scene)
        if met is None:
            return None
        object_id, voxel = met
        spans = [theatre.steps(chunk, scene.ids(chunk) == object_id) for chunk in scene.where(object_id)]
        there = [span for span in spans if span is not None] or [(voxel[0], voxel[0])]
        first, last = min(a for a, _ in there), max(b for _, b in there)
        life, volume = lifetime_of(spec, first, last, moment), spec.volume
        place = place_of(spec, voxel, theatre.byte(voxel), moment)
        name = volume.long_name or volume.variable
        return Found(object_id, scene.voxels(object_id), first, last, life, name, volume.units, place)

    def ripen(self) -> None:
        """Brings all that is on the stage up to date for a picture as of ``position``."""
        if self._theatre is not None and self._scene is not None:
            self._outline()
            self._theatre.ripen(self._scene)

    def _outline(self) -> None:
        """Outlines the chunks that may still come."""
        assert self._scene is not None
        assert self._theatre is not None
        if self._lattice:
            self._lattice = False
            over = self._scene.state in ("complete", "cancelled")
            self._theatre.pending(() if over else self._scene.pending)

    def draw(
        self,
        camera: Camera,
        width: int,
        height: int,
        shift: tuple[float, float] = (0.0, 0.0),
        *,
        level: int = 0,
        ratio: float = 1.0,
    ) -> Pixels:
        """A picture of the scene as it is (see ``Theatre.draw``), whole or coarse; there must be a run."""
        assert self._theatre is not None
        assert self._scene is not None
        self._outline()
        self._theatre.detail(level)
        self._theatre.stand(self._scene)
        return self._theatre.draw(camera, width, height, self.facts(), shift, ratio)

    def facts(self) -> Facts:
        """What the legend says."""
        if self._scene is None or self._spec is None:
            return NOTHING
        if self._facts is None or self._facts[0] != self.version:
            scene, volume = self._scene, self._spec.volume
            largest, theatre = scene.largest(LARGEST), self._theatre
            facts = Facts(
                volume.title or volume.long_name or volume.variable,
                len(scene.arrived),
                scene.grid.size,
                scene.objects,
                scene.state or "running",
                largest,
                tuple(scene.colour(root) for root, _ in largest),
                theatre.moment if theatre is not None else "",
                theatre.bar if theatre is not None else None,
            )
            self._facts = (self.version, facts)
            self._turns = {str(root): turn for root, turn in scene.turns(MOST_TURNS).items()}
        return self._facts[1]

    def note(self) -> dict[str, object]:
        """How the scene stands, for the page: title, units, bounds, position, chunks, state, and what is wrong."""
        if self._spec is None:
            return {"state": "waiting", "text": self._trouble, "settled": True}
        volume, facts = self._spec.volume, self.facts()
        rulers = self._theatre.room.rulers if self._theatre is not None else ()
        return {
            "title": facts.title,
            "units": volume.units,
            "bounds": {volume.axes[2 - i].name: [ruler.low, ruler.high] for i, ruler in enumerate(rulers)},
            "position": self.position,
            "chunks": {"drawn": facts.arrived, "total": facts.chunks},
            "state": facts.state,
            "text": self._trouble,
            "settled": self.settled,
            "turns": self._turns,
        }

    @property
    def _trouble(self) -> str:
        return " ".join(filter(None, self._troubles.values()))
