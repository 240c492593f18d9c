"""Where the command ``cavecast`` is: a part is started as its console script, beside this Python."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path


def command(*arguments: str) -> list[str]:
    """The command line of a part.  Raises FileNotFoundError if CaveCast is not installed beside this Python."""
    beside = Path(sys.executable).parent / "cavecast"
    script = str(beside) if beside.is_file() else shutil.which("cavecast")
    if script is None:
        raise FileNotFoundError(f"no command cavecast beside {sys.executable}: install the package there with pip")
    return [script, *arguments]
