"""A wall clock that jumps, for a process and all that it starts: libfaketime, told by a file.

Only the wall clock does so.  The monotonic one goes on, as it does when somebody sets a machine's time.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest


def library() -> Path | None:
    """Where libfaketime is; it lies in no folder of the linker's."""
    places: Iterator[Path] = chain.from_iterable(
        Path(root).glob("**/faketime/libfaketime.so.1") for root in ("/usr/lib", "/usr/local/lib", "/usr/lib64")
    )
    return next(places, None)


LIBRARY = library()
needed = pytest.mark.skipif(LIBRARY is None, reason="there is no libfaketime: tests/system-packages.sh installs it")


class Clock:
    """The time of some processes: start them with its ``environment``."""

    def __init__(self, folder: Path, name: str = "clock") -> None:
        self._file = folder / name
        self.jump(0)

    @property
    def environment(self) -> dict[str, str]:
        """What makes a process have this clock."""
        return {
            "LD_PRELOAD": str(LIBRARY), "FAKETIME_TIMESTAMP_FILE": str(self._file), "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1",
        }  # fmt: skip

    def jump(self, hours: float) -> None:
        """It is so many hours later than it is (or earlier), all at once: a second from now at the latest.

        The file is not read each time that somebody asks for the time: that alone would slow everything down.
        """
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{hours * 3600:+.0f}\n")
        fresh.replace(self._file)
