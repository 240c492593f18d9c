"""The display nodes of a cluster, as the API asks for them."""

from __future__ import annotations

from collections.abc import Mapping

from streamer.control.cluster import wall_states
from streamer.control.cluster.surroundings import Surroundings
from streamer.control.seats import Listing, Seatings
from streamer.wire.walls import WallFacts


class ClusterNodes:
    """A ``seats.NodeSource`` in a cluster: nodes by their labels."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around

    async def nodes(self, labels: Mapping[str, str]) -> Listing:
        """Those that carry all of these labels; none for a wall without, since all nodes would be its own."""
        if not labels:
            return Listing()
        nodes, why = await self._around.nodes()
        return wall_states.listing(nodes, why, labels)

    def seats(self, wall: WallFacts, found: Listing) -> Seatings:
        """Who sits where, if nobody sat there before."""
        return wall_states.seatings(wall, found)
