"""Where a store lies: in a folder, or in a bucket behind ``s3://``.  Files by key, each replaced in one step.

In a folder a file is written beside its place and renamed; ``flush`` makes sure that what was written
survives a power cut.  A bucket does both by itself.  Its credentials come from the environment
(``AWS_ACCESS_KEY_ID`` … ``AWS_ENDPOINT_URL``), as every tool of its kind reads them, and appear in no message.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol, TypeVar

from zarr.storage import LocalStore

NEW = ".partial"
_WRONG = (errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EROFS, errno.ELOOP)
_STRANGERS = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied", "ExpiredToken", "InvalidToken")


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

    def set(self, key: str, raw: bytes) -> None:
        """Writes a file in one step."""

    def delete(self, key: str) -> None:
        """Removes a file, if it is there."""

    def clear(self, prefix: str) -> None:
        """Removes all files whose keys begin with ``prefix`` and a slash."""

    def names(self, prefix: str) -> list[str]:
        """The names right below ``prefix`` ("" for the top)."""

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
        self.zarr = LocalStore(path)
        self._unsynced: set[Path] = set()

    def get(self, key: str) -> bytes | None:
        with self.spoken():
            try:
                return (self.path / key).read_bytes()
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
                return None

    def set(self, key: str, raw: bytes) -> None:
        path = self.path / key
        new = path.with_name(f".{path.name}{NEW}")
        with self.spoken():
            try:
                try:
                    new.write_bytes(raw)
                except FileNotFoundError:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    new.write_bytes(raw)
                new.replace(path)
            except OSError:
                with suppress(OSError):
                    new.unlink()  # half a file takes room that others need
                raise
        self._unsynced.add(path)

    def delete(self, key: str) -> None:
        with self.spoken():
            (self.path / key).unlink(missing_ok=True)
        self._unsynced.discard(self.path / key)

    def clear(self, prefix: str) -> None:
        with self.spoken():
            shutil.rmtree(self.path / prefix, ignore_errors=not (self.path / prefix).exists())

    def names(self, prefix: str) -> list[str]:
        with self.spoken():
            try:
                return sorted(child.name for child in (self.path / prefix).iterdir())
            except (FileNotFoundError, NotADirectoryError):
                return []

    def flush(self) -> None:
        with self.spoken():
            for path in [*self._unsynced, *{path.parent for path in self._unsynced}]:
                try:
                    file = os.open(path, os.O_RDONLY)
                except FileNotFoundError:
                    continue  # replaced or removed since
                try:
                    os.fsync(file)
                except OSError as why:
                    # Once more would not help: the kernel may then report success for pages that it has dropped.
                    raise ArchiveError(
                        f"{path} cannot be made durable: {why.strerror}; start the archive again, which writes anew "
                        "what is not known to be in the store"
                    ) from None
                finally:
                    os.close(file)
        self._unsynced.clear()

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


class Bucket:
    """An object store that speaks S3, by obstore."""

    def __init__(self, url: str) -> None:
        try:
            import obstore
            from obstore.exceptions import BaseError
            from obstore.store import S3Store
            from zarr.storage import ObjectStore
        except ImportError:
            raise ArchiveError(f"{url} needs the package obstore: pip install 'cavecast[s3]'", 2) from None
        self.label = self.address = url
        self._obstore, self._errors = obstore, BaseError
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
        settings: dict[str, Any] = {"endpoint": endpoint} if endpoint else {}
        with self.spoken():
            self._store = S3Store.from_url(
                url,
                client_options={"allow_http": endpoint.startswith("http://"), "timeout": timedelta(seconds=60)},
                retry_config={"max_retries": 5, "retry_timeout": timedelta(seconds=60)},
                **settings,
            )
        self.zarr = ObjectStore(self._store)

    def get(self, key: str) -> bytes | None:
        with self.spoken():
            try:
                return bytes(self._obstore.get(self._store, key).bytes())
            except FileNotFoundError as why:
                if "NoSuchBucket" in str(why):
                    raise
                return None

    def set(self, key: str, raw: bytes) -> None:
        with self.spoken():
            self._obstore.put(self._store, key, raw)

    def delete(self, key: str) -> None:
        with self.spoken():
            try:
                self._obstore.delete(self._store, key)
            except FileNotFoundError:
                return

    def clear(self, prefix: str) -> None:
        with self.spoken():
            for page in self._obstore.list(self._store, prefix):
                paths = [found["path"] for found in page]
                if paths:
                    self._obstore.delete(self._store, paths)

    def names(self, prefix: str) -> list[str]:
        with self.spoken():
            found = self._obstore.list_with_delimiter(self._store, prefix or None)
        paths = [*found["common_prefixes"], *(each["path"] for each in found["objects"])]
        return sorted(path.rstrip("/").rpartition("/")[2] for path in paths)

    def flush(self) -> None:
        return

    def close(self) -> None:
        self.zarr.close()

    @contextmanager
    def spoken(self) -> Iterator[None]:
        """The library's errors in one sentence, which names the request and never a credential."""
        try:
            yield
        except (self._errors, OSError) as why:
            what, advice, passes = _of_bucket(self.label, str(why).strip() or type(why).__name__)
            raise PlaceError(f"{self.label} cannot be used: {what}", f": {advice}", passes=passes) from None


def _of_bucket(url: str, said: str) -> tuple[str, str, bool]:
    """What is wrong with a bucket, what to do, and whether it may pass by itself, from what the library said."""
    bucket = url.removeprefix("s3://").partition("/")[0]
    code = found.group(1) if (found := re.search(r"<Code>(\w+)</Code>", said)) else ""
    status = found.group(1) if (found := re.search(r"status code: (\d+)", said)) else ""
    if code == "NoSuchBucket":
        advice = "make it first, or look at the AWS_… variables of the environment"
        return f"there is no bucket {bucket}", advice, False
    if code in _STRANGERS or status in ("401", "403"):
        why = f"the credentials of the environment are refused ({code or status})"
        advice = "look at AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN and the rights to the bucket"
        return why, advice, False
    if "error sending request" in said or "error trying to connect" in said:
        at = found.group() if (found := re.search(r"https?://[^/\s]+", said)) else "the bucket's address"
        return f"{at} does not answer", "look at AWS_ENDPOINT_URL, AWS_REGION and the network", True
    first = said.splitlines()[0].partition("<?xml")[0][:200].rstrip(" :")
    passes = not status or status[0] == "5" or status in ("408", "429")
    advice = "look at the bucket, the AWS_… variables and the network"
    return f"{first}{f' ({code})' if code else ''}", advice, passes
