"""A store in a bucket behind ``s3://``, by obstore.

Each file is replaced in one step and durable then.  The credentials come from the environment
(``AWS_ACCESS_KEY_ID`` … ``AWS_ENDPOINT_URL``), as every tool of its kind reads them, and appear in no message.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from streamer.archive.place import ArchiveError, PlaceError

_STRANGERS = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied", "ExpiredToken", "InvalidToken")


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

    def set(self, key: str, raw: bytes, *, safely: bool = False) -> None:
        del safely  # it always is
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

    def noted(self, key: str) -> None:
        del key  # what is there is durable

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
