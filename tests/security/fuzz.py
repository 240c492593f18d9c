"""``python -m tests.security.fuzz TARGET [libFuzzer's options] [CORPUS]``: atheris on one target; stops at a fault."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["streamer.wire"]):
    from tests.security import targets

if __name__ == "__main__":
    chosen = getattr(targets, sys.argv.pop(1))

    def once(raw: bytes) -> None:
        """One try; libFuzzer looks at what is left of the process."""
        chosen(raw)

    atheris.Setup(sys.argv, once)
    atheris.Fuzz()
