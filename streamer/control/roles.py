"""Which keys the parts of runs get: none, new ones for each run, or those of a folder that an operator has made."""

from __future__ import annotations

from pathlib import Path

from streamer.keyring import make
from streamer.settings import Settings
from streamer.wire.keys import ROLES, beyond_loopback, read

AUTO = "auto"


class NeedsKeys(ValueError):
    """Parts are to be reached from other machines, and have no keys."""

    exit_code = 2


def check_keys(settings: Settings) -> None:
    """Raises NeedsKeys if parts would be open to others, BadKeys if the folder's keys cannot be used."""
    host, wanted = settings.parts_host, settings.run_keys
    if host and not wanted and beyond_loopback(f"tcp://{host}:0"):
        raise NeedsKeys(
            f"parts are to listen at {host} (parts_host), which other machines can reach, so they need keys: "
            "give --keys auto for new ones with each run, or --keys FOLDER with those of cavecast keys --out FOLDER"
        )
    if wanted and wanted != AUTO:
        for role in ROLES:
            read(Path(wanted).expanduser() / f"{role}.toml", role)


def keys_of(wanted: str | None, run: Path) -> Path | None:
    """The folder with the keys for a run in the folder ``run``, where new ones are made if that is asked for."""
    if not wanted:
        return None
    if wanted != AUTO:
        return Path(wanted).expanduser().resolve()
    folder = run / "keys"
    make(folder)
    return folder
