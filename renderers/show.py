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

from renderers.captions import Captions
from renderers.dates import moment
from renderers.entries import Arrived, Event, Started, There, Told
from renderers.legend import NO_LEGEND, Facts, Legend
from renderers.reading import Found, lifetime_of, place_of
from renderers.scene import Scene
from renderers.shots import Tile
from renderers.staging import unplaced
from renderers.vtk_scene import Theatre
from renderers.vtk_window import Pixels
from streamer.wire.batch import Present
from streamer.wire.view import Camera
from streamer.wire.viewing import Vec3, View
from streamer.wire.volume import RunSpec

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
        self._captions: Captions | None = None
        self._newest: dict[int, int] = {}
        """The entry of each chunk in the scene."""
        self._coming: set[int] = set()
        """Entries of the present state that have not come whole."""
        self._whole = False
        """The run has ended and all of it has come."""
        self._lattice = False
        self._news_at = -inf
        self._rough = False
        self._log = structlog.get_logger("renderer")
        self.version = 0
        """Counts what can be seen to change, the view aside."""

    @property
    def ready(self) -> bool:
        """Whether there is a run to be drawn."""
        return self._theatre is not None

    @property
    def position(self) -> int:
        """All entries of the log before this one are in the picture."""
        return 0 if self._scene is None else self._scene.position

    @property
    def step(self) -> int:
        """The step of axis 0 at which the time cursor stands; 0 without a run."""
        return 0 if self._theatre is None else self._theatre.step

    @property
    def triangles(self) -> int:
        """Triangles of the scene as it is at rest."""
        return 0 if self._theatre is None else self._theatre.triangles

    @property
    def spec(self) -> RunSpec | None:
        """What run it is, once there is one."""
        return self._spec

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
        self._whole = False
        self._troubles.pop("store", None)
        self._spec, self._scene = spec, Scene(spec.grid)
        self._theatre = Theatre(self._window, spec, steady=self._steady)
        self._captions = Captions(spec, self._scene, self._theatre, self._troubles)
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
        scene, theatre, captions = self._scene, self._theatre, self._captions
        if scene is None or theatre is None or captions is None:
            return
        if entry.piece is not None:
            if not entry.piece.level:
                self._coming.discard(entry.number)
            if entry.number < self._newest.get(entry.piece.chunk, -1):
                return  # it was fetched, and a newer one has come meanwhile
            self._newest[entry.piece.chunk] = entry.number
            changed = scene.arrive(entry.piece)
            if entry.piece.field is not None:
                captions.histogram.put(entry.piece.chunk, entry.piece.field)
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
        if self.over and not self._whole and self._scene is not None and self._theatre is not None:
            self._whole, theatre = True, self._theatre
            mb = theatre.nbytes >> 20
            self._log.info("run ended", state=self._scene.state, triangles=theatre.triangles, mb=mb)

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

    def look(self, view: View) -> None:
        """From now on the run is shown so; whatever run that is.

        One show serves many views, each before its picture: what is seen to change by it is the viewers' affair.
        """
        view = unplaced(view)
        if view == self._view:
            return
        self._view = view
        if self._theatre is not None:
            self._seen()

    def _seen(self) -> None:
        assert self._scene is not None
        assert self._theatre is not None
        self._troubles["view"] = self._theatre.apply(self._view)
        marked = self._scene.select(self._view.selected, isolate=self._view.isolate)
        self._recolour(marked | self._scene.paint(self._view.objects))

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
        into: Pixels | None = None,
        foot: Legend = NO_LEGEND,
        tile: Tile | None = None,
    ) -> Pixels:
        """A picture of the scene as it is (see ``Theatre.draw``), whole or coarse; there must be a run."""
        assert self._theatre is not None
        assert self._scene is not None
        self._outline()
        self._theatre.detail(level)
        self._theatre.stand(self._scene)
        return self._theatre.draw(camera, width, height, self.facts(), shift, ratio, into, foot, tile)

    def facts(self) -> Facts:
        """What the legend says."""
        return NOTHING if self._captions is None else self._captions.facts(self.version)

    def glance(self, view: View) -> dict[str, object]:
        """What of the note depends on a view, be it the one that is shown now or not: ``text``, ``when``, ``field``."""
        return {} if self._captions is None else self._captions.glance(view, self.version)

    def note(self) -> dict[str, object]:
        """How the scene stands, for the page: title, units, bounds, position, chunks, state, and what is wrong."""
        if self._captions is None:
            return {"state": "waiting", "text": self._trouble, "settled": True}
        return self._captions.note(self.version, self._trouble, settled=self.settled)

    @property
    def stamp(self) -> tuple[object, ...]:
        """What ``note`` and ``glance`` follow from besides a view: while it is the same, so are they."""
        position = -1 if self._scene is None else self._scene.position
        return self.version, position, self.settled, self._trouble

    @property
    def _trouble(self) -> str:
        return " ".join(filter(None, self._troubles.values()))
