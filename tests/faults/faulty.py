"""The segmenter ``faulty``: connect, until it finds a token with its chunk's number in a folder.

A token counts once, for the worker that takes it away first.  ``raises.CHUNK.N`` makes it raise;
``holds.CHUNK.N`` makes it say ``CHUNK PID`` into the pipe ``held`` and hang, without a beat, until somebody
opens the pipe ``go``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

import msgspec

from inference_workers.connect import Connect, Connectivity
from inference_workers.segmenter import Block, Labelling


class Faults(msgspec.Struct, frozen=True):
    """What ``faulty`` takes."""

    threshold: float
    folder: str


class Faulty(Connect):
    """Connected components, if it is let."""

    Parameters: ClassVar[type[msgspec.Struct]] = Faults

    def __init__(self, parameters: Faults) -> None:
        super().__init__(Connectivity(parameters.threshold))
        self.folder = Path(parameters.folder)

    def segment(self, block: Block) -> Labelling:
        if self._takes("raises", block.chunk):
            raise RuntimeError(f"no memory for chunk {block.chunk}")
        if self._takes("holds", block.chunk):
            held = os.open(self.folder / "held", os.O_WRONLY)
            os.write(held, b"%d %d\n" % (block.chunk, os.getpid()))
            os.close(held)
            os.close(os.open(self.folder / "go", os.O_RDONLY))
        return super().segment(block)

    def _takes(self, what: str, chunk: int) -> bool:
        for token in sorted(self.folder.glob(f"{what}.{chunk}.*")):
            try:
                token.unlink()
            except FileNotFoundError:
                continue
            return True
        return False
