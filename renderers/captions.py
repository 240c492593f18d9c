"""What is said of the run on the stage: the legend in the picture, and the notes that its viewers' pages get.

All of it follows from the scene, the theatre and what is wrong; it is worked out anew only when the show has changed.
"""

from __future__ import annotations

from collections.abc import Mapping

from renderers.dates import moment
from renderers.glance import Histogram, glance
from renderers.legend import Facts
from renderers.scene import Scene
from renderers.vtk_scene import Theatre
from streamer.wire.viewing import View
from streamer.wire.volume import RunSpec

LARGEST = 8
MOST_TURNS = 256
"""Objects whose colours the page is told, because they are not those of their ids."""
MOST_GLANCES = 128


class Captions:
    """Of one run.  ``version`` is what ``Show`` counts: what was said of one stays true until it grows."""

    def __init__(self, spec: RunSpec, scene: Scene, theatre: Theatre, troubles: Mapping[str, str]) -> None:
        """``troubles``: what is wrong now, by what it is about."""
        self.histogram = Histogram()
        self._spec, self._scene, self._theatre, self._troubles = spec, scene, theatre, troubles
        self._facts: tuple[int, Facts] | None = None
        self._glances: tuple[int, dict[View, dict[str, object]]] = (0, {})
        self._turns: dict[str, int] = {}

    def facts(self, version: int) -> Facts:
        """What the legend says."""
        scene = self._scene
        if self._facts is None or self._facts[0] != version:
            volume = self._spec.volume
            facts = Facts(
                volume.title or volume.long_name or volume.variable,
                len(scene.arrived),
                scene.grid.size,
                scene.objects,
                scene.state or "running",
                scene.largest(LARGEST),
            )
            self._facts = (version, facts)
            self._turns = {str(root): turn for root, turn in scene.turns(MOST_TURNS).items()}
        facts = self._facts[1]
        # What follows from the view is asked for anew: many views take turns on one stage.
        colours = tuple(scene.colour(root) for root, _ in facts.largest)
        return facts._replace(colours=colours, moment=self._theatre.moment, bar=self._theatre.bar)

    def glance(self, view: View, version: int) -> dict[str, object]:
        """What of the note depends on a view, be it the one that is shown now or not: ``text``, ``when``, ``field``."""
        spec, theatre = self._spec, self._theatre
        at, known = self._glances
        if at != version or len(known) > MOST_GLANCES:
            known = {}
            self._glances = version, known
        if view not in known:
            told = glance(view, spec, theatre.room, theatre.newest, moment)
            if spec.field_range is not None:
                colours = ["#{:02x}{:02x}{:02x}".format(*colour) for colour in theatre.colours(view)[::2]]
                bars = self.histogram.bars()
                told["field"] = {"range": list(spec.field_range), "histogram": bars, "colours": colours}
            known[view] = told
        others = [text for about, text in self._troubles.items() if about != "view"]
        return {**known[view], "text": " ".join(filter(None, (*others, str(known[view]["text"]))))}

    def note(self, version: int, text: str, *, settled: bool) -> dict[str, object]:
        """How the scene stands, for the page; ``text``: what is wrong."""
        volume, room, facts = self._spec.volume, self._theatre.room, self.facts(version)
        return {
            "title": facts.title,
            "units": volume.units,
            "bounds": {volume.axes[2 - i].name: [ruler.low, ruler.high] for i, ruler in enumerate(room.rulers)},
            "half": list(room.half),
            "position": self._scene.position,
            "chunks": {"drawn": facts.arrived, "total": facts.chunks},
            "state": facts.state,
            "text": text,
            "settled": settled,
            "turns": self._turns,
        }
