"""How ``cavecast demo`` has a sample segmented: by the network that ships, where it was made for the sample.

That is ``rivers``.  A network needs TensorFlow or OpenVINO, which CaveCast does without: where neither is
installed the demo goes back to CONNECT, and says so.  Pure; what is installed is told by the caller.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

from streamer.run.given import WrongUse

By = Literal["ffn", "connect"]
SEGMENTERS: tuple[By, ...] = get_args(By)
NETWORK_FOR = "rivers"
BACKENDS = ("openvino", "tensorflow")
"""The modules of which a network needs one."""

CHUNK = (20, 64, 43)
"""The volume of (240, 64, 128) in 36 chunks, each at least twice the network's field of view of (9, 17, 17)."""
LAYERS = ("labels1", "field")
"""The values are carried too: the pointer names them, and they can be seen as a slice or a cloud."""
LIFE_H = 24.0
"""What the network was trained on lives at least so long."""

_INSTALL = "pip install 'cavecast[openvino]'"


class Showing(NamedTuple):
    """How a sample is segmented, and what is said of it."""

    request: dict[str, object]
    """What of a run's request follows from it."""
    said: str | None = None


def showing(sample: str, asked: str | None, *, backend: bool) -> Showing:
    """How this sample is segmented, as asked or else as suits it.  ``backend``: whether a network could run here.

    Raises WrongUse if there is no such segmenter here, or none for this sample.
    """
    if asked is not None and asked not in SEGMENTERS:
        raise WrongUse(f"the demo has no segmenter {asked!r}; there are {' and '.join(SEGMENTERS)}")
    if asked == "ffn" and sample != NETWORK_FOR:
        raise WrongUse(
            f"the demo's network was trained for {NETWORK_FOR}, not for {sample}: leave --segmenter out, or try it"
            f" with cavecast run sample:{sample} --segmenter ffn --set model=demo"
        )
    if asked == "ffn" and not backend:
        raise WrongUse(f"a network needs OpenVINO or TensorFlow, and neither is installed: {_INSTALL}")
    if asked == "connect" or sample != NETWORK_FOR:
        return Showing({"segmenter": "connect", "layers": list(LAYERS)})
    if not backend:
        return Showing(
            {"segmenter": "connect", "layers": list(LAYERS)},
            "Neither OpenVINO nor TensorFlow is installed, so CONNECT segments it instead of the network that ships:"
            f" {_INSTALL}",
        )
    return Showing(
        {
            "segmenter": "ffn",
            "parameters": {"model": "demo"},
            "chunk": list(CHUNK),
            "min_duration_h": LIFE_H,
            "layers": list(LAYERS),
        },
        "A flood-filling network draws the objects that live at least a day; --segmenter connect shows all voxels"
        " above the threshold.",
    )
