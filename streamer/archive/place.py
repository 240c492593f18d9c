"""Where a store lies: in a folder or a bucket (``streamer.archive.bucket``).  Files by key, each replaced in one step.

In a folder a file is written beside its place and renamed, also by zarr; ``flush`` makes sure that what was
written survives a power cut, with the names of the folders that were made for it.  A bucket does all of it by itself.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

from zarr.storage import LocalStore

NEW = ".partial"
_WRONG = (errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EROFS, errno.ELOOP)


class ArchiveError(Exception):
    """What is wrong with the store or the feed, in a sentence; ``exit_code``: 2 wrong use, 75 silence, else 1."""

    def __init__(self, sentence: str, exit_code: int = 1) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


class PlaceError(ArchiveError):
    """The place cannot be used now; it may be usable at another time.  ``what`` is wrong, without an advice.

    ``passes``: it looks like what passes by itself, and not like a wrong name or a wrong key.
    """

    def __init__(self, what: str, advice: str, *, passes: bool = True) -> None:
        super().__init__(f"{what}{advice}")
        self.what, self.passes = what, passes


class Place(Protocol):
    """Files by key, such as ``local/c/0/0/1``.  All methods raise PlaceError if the place cannot be used."""

    label: str
    """How to call it in a sentence."""
    address: str
    """Where it is, for those who are in other folders."""
    zarr: Any
    """The same as a store of zarr's."""

    def get(self, key: str) -> bytes | None:
        """A file's bytes, or None if there is none."""

    def set(self, key: str, raw: bytes, *, safely: bool = False) -> None:
        """Writes a file in one step; ``safely``: a power cut leaves no half of it, also before the next ``flush``.

        One that takes the place of another is always written so.
        """

    def delete(self, key: str) -> None:
        """Removes a file, if it is there."""

    def clear(self, prefix: str) -> None:
        """Removes all files whose keys begin with ``prefix`` and a slash."""

    def names(self, prefix: str) -> list[str]:
        """The names right below ``prefix`` ("" for the top)."""

    def noted(self, key: str) -> None:
        """What an earlier process has written there is meant by the next ``flush`` too."""

    def flush(self) -> None:
        """Returns when all that was written survives a power cut.  Raises ArchiveError if it is not known whether."""

    def spoken(self) -> AbstractContextManager[None]:
        """Within it, what goes wrong with the place (also by ``zarr``) becomes PlaceError."""

    def close(self) -> None:
        """Lets go of it."""


def place_of(out: str) -> Place:
    """The place that an ``--out`` names.  Raises ArchiveError."""
    if "://" not in out:
        return Folder(Path(out))
    if not out.startswith("s3://") or not out.removeprefix("s3://").strip("/"):
        raise ArchiveError(f"{out} is no place for a store: give a folder, or s3://BUCKET/NAME.zarr", 2)
    from streamer.archive.bucket import Bucket

    return Bucket(out.rstrip("/"))


Done = TypeVar("Done")
Wait = Callable[[str, int], None]
"""Called with what is wrong and how often it has been in a row, returns when to try again; with "" when all is well."""


def patiently(act: Callable[[], Done], wait: Wait, *, wrong_too: bool) -> Done:
    """Does something that a place may refuse, until it does not; what does not pass is raised, unless ``wrong_too``."""
    tries = 0
    while True:
        try:
            found = act()
        except PlaceError as why:
            if not (why.passes or wrong_too):
                raise
            tries += 1
            wait(f"the archive stands still, and the log keeps what it lacks: {why.what}", tries)
        else:
            if tries:
                wait("", 0)
            return found


class Folder:
    """A folder on this machine, or on a file system that looks like one."""

    def __init__(self, path: Path) -> None:
        self.path, self.label, self.address = path, str(path), str(path.absolute())
        self.zarr = _Files(self)
        self._unsynced: set[Path] = set()
        """Files that were written, and folders from which something was removed."""
        self._named: set[Path] = set()
        """Folders whose own names are on the disk."""

    def get(self, key: str) -> bytes | None:
        with self.spoken():
            try:
                return (self.path / key).read_bytes()
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
                return None

    def set(self, key: str, raw: bytes, *, safely: bool = False) -> None:
        path = self.path / key
        new = path.with_name(f".{path.name}{NEW}")
        with self.spoken():
            try:
                try:
                    new.write_bytes(raw)
                except FileNotFoundError:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    new.write_bytes(raw)
                if safely or path.exists():
                    # Else a power cut might leave the new name without the new bytes, and the old ones would be gone.
                    _sync(new)
                new.replace(path)
            except OSError:
                with suppress(OSError):
                    new.unlink()  # half a file takes room that others need
                raise
        self._unsynced.add(path)

    def delete(self, key: str) -> None:
        path = self.path / key
        with self.spoken():
            path.unlink(missing_ok=True)
        self._unsynced.discard(path)
        self._unsynced.add(path.parent)

    def clear(self, prefix: str) -> None:
        path = self.path / prefix
        with self.spoken():
            shutil.rmtree(path, ignore_errors=not path.exists())
        self._named = {folder for folder in self._named if not folder.is_relative_to(path)}
        self._unsynced.add(path.parent)

    def names(self, prefix: str) -> list[str]:
        with self.spoken():
            try:
                return sorted(child.name for child in (self.path / prefix).iterdir())
            except (FileNotFoundError, NotADirectoryError):
                return []

    def noted(self, key: str) -> None:
        self._unsynced.add(self.path / key)

    def flush(self) -> None:
        made: set[Path] = set()
        folders: set[Path] = set()
        for path in self._unsynced:
            folder = path.parent
            folders.add(folder)
            while not (folder in self._named or folder in made or folder.is_mount()):
                made.add(folder)
                folder = folder.absolute().parent if folder == self.path else folder.parent
                folders.add(folder)
        with self.spoken():
            for path in [*self._unsynced, *folders]:
                try:
                    _sync(path)
                except FileNotFoundError:
                    continue  # replaced or removed since
                except OSError as why:
                    if isinstance(why, PermissionError) and self.path.absolute().is_relative_to(path.absolute()):
                        continue  # a folder above the store, which is not ours to read
                    # Once more would not help: the kernel may then report success for pages that it has dropped.
                    raise ArchiveError(
                        f"{path} cannot be made durable: {why.strerror}; start the archive again, which writes anew "
                        "what is not known to be in the store"
                    ) from None
        self._unsynced.clear()
        self._named |= made

    def close(self) -> None:
        self.zarr.close()

    @contextmanager
    def spoken(self) -> Iterator[None]:
        try:
            yield
        except OSError as why:
            raise PlaceError(
                f"{self.label} cannot be used: {why.strerror or why}",
                "; mend it and start again",
                passes=why.errno not in _WRONG,
            ) from None


class _Files(LocalStore):  # type: ignore[misc]  # zarr brings no types
    """A folder as a store of zarr's, which writes and removes as the folder does."""

    def __init__(self, folder: Folder, *, read_only: bool = False) -> None:
        super().__init__(folder.path, read_only=read_only)
        self._folder = folder

    def with_read_only(self, read_only: bool = False) -> Self:
        return type(self)(self._folder, read_only=read_only)

    async def set(self, key: str, value: Any) -> None:
        self.set_sync(key, value)

    def set_sync(self, key: str, value: Any) -> None:
        self._check_writable()
        self._folder.set(key, value.to_bytes(), safely=key == "zarr.json")  # by which a store is known as ours

    async def set_if_not_exists(self, key: str, value: Any) -> None:
        if not (self.root / key).exists():
            self.set_sync(key, value)

    async def delete(self, key: str) -> None:
        self.delete_sync(key)

    def delete_sync(self, key: str) -> None:
        self._check_writable()
        if (self.root / key).is_dir():
            self._folder.clear(key)
        else:
            self._folder.delete(key)

    async def delete_dir(self, prefix: str) -> None:
        self._check_writable()
        self._folder.clear(prefix)


def _sync(path: Path) -> None:
    """Makes a file's bytes, or the names in a folder, durable.  Raises OSError."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
