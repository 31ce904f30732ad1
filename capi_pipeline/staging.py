"""Where hashed conversions rest between transform and delivery: one encrypted Parquet file per hour.

Local disk or any object store that fsspec knows. Written under a draft name and moved into place when whole, so that
a reader never sees half an hour. Encryption is Parquet's own (columns and footer), its key wrapped by CAPI_STAGING_KEY.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
from cryptography.fernet import Fernet, InvalidToken
from upath import UPath

from capi_pipeline.errors import ConfigurationError, DeliveryError, first_line

KEY_NAME = "staging"
ROWS = 2000  # as many as the ledger is asked for at once


class _Wrap(pe.KmsClient):  # type: ignore[misc]
    """Wraps each file's own key with the staging key; nothing leaves the process."""

    def __init__(self, fernet: Fernet) -> None:
        super().__init__()
        self._fernet = fernet

    def wrap_key(self, key_bytes: bytes, _: str) -> bytes:
        return self._fernet.encrypt(base64.b64encode(key_bytes))

    def unwrap_key(self, wrapped_key: bytes, _: str) -> bytes:
        try:
            return base64.b64decode(self._fernet.decrypt(wrapped_key))
        except InvalidToken:
            raise ConfigurationError(
                "The staging files were written with another CAPI_STAGING_KEY.",
                "Set the old key, or materialise `hashed_conversions` of this hour again.",
            ) from None


class Staging:
    """The files under `url`, encrypted with `key` (Fernet format)."""

    def __init__(self, url: str, key: bytes) -> None:
        try:
            self.root = UPath(url)
            self._files = self.root.fs
        except (ImportError, ValueError) as error:
            raise ConfigurationError(
                f"CAPI_STAGING_URL: {url.partition('?')[0]} cannot be used: {error}.",
                "Write a folder or an s3://, gs:// or az:// URL, and install what the message names.",
            ) from None
        self._fernet = Fernet(key)
        self._factory = pe.CryptoFactory(lambda _: _Wrap(self._fernet))
        self._kms = pe.KmsConnectionConfig()

    def path(self, hour: datetime) -> UPath:
        return self.root / f"{hour:%Y-%m-%d}" / f"{hour:%H}.parquet"

    def write(self, hour: datetime, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
        """Store one hour; returns its bytes. Raises DeliveryError when the place is full or not writable."""
        path = self.path(hour)
        draft = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
        config = pe.EncryptionConfiguration(footer_key=KEY_NAME, uniform_encryption=True)
        properties = self._factory.file_encryption_properties(self._kms, config)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with draft.open("wb") as file, pq.ParquetWriter(
                file, schema, encryption_properties=properties, compression="zstd"
            ) as writer:  # fmt: skip
                for batch in batches:
                    writer.write_batch(batch)
            size = int(draft.stat().st_size)
            draft.rename(path)
        except OSError as error:
            with suppress(OSError):
                draft.unlink()
            raise DeliveryError(
                f"Hashed conversions cannot be stored at {path}: {error.strerror or type(error).__name__}.",
                "Make room or correct CAPI_STAGING_URL, then rerun this partition. Nothing was sent.",
            ) from None
        except BaseException:
            with suppress(OSError):
                draft.unlink()
            raise
        return size

    def read(self, hour: datetime, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """One hour's hashed conversions (of these columns), streamed. Raises DeliveryError when it is not there (never
        made, or purged)."""
        with self._opened(hour) as file:
            missing = [name for name in columns or () if name not in file.schema_arrow.names]
            if missing:
                raise DeliveryError(
                    f"The hashed conversions of the hour {hour:%Y-%m-%d %H:%M} are of an older version: they lack "
                    f"`{missing[0]}`.",
                    "Materialise `hashed_conversions` of this partition, then rerun.",
                )
            yield from file.iter_batches(batch_size=ROWS, columns=columns)

    def hours(self) -> list[datetime]:
        """The hours that are stored."""
        names = [(path.parent.name, path.stem) for path in self.root.glob("*/*.parquet")] if self.root.exists() else []
        return sorted(datetime.strptime(f"{day} {hour}", "%Y-%m-%d %H").replace(tzinfo=UTC) for day, hour in names)

    def rewrite(self, hour: datetime, change: Callable[[pa.RecordBatch], pa.RecordBatch]) -> None:
        """Store the hour with each batch changed (same schema). Raises as `write` and `read`."""
        with self._opened(hour) as file:
            self.write(hour, file.schema_arrow, (change(batch) for batch in file.iter_batches(batch_size=ROWS)))

    def purge(self, before: datetime) -> int:
        """Delete what was written before `before`, also drafts that a killed process left; returns how many files.

        By the time of writing, not by the hour: of two backfills of long ago, neither deletes what the other just made.
        """
        gone = 0
        for path in [*self.root.glob("*/*.parquet"), *self.root.glob("*/.*.parquet.*")] if self.root.exists() else ():
            with suppress(FileNotFoundError):  # another run purges too
                if self._files.modified(path.path) < before:
                    path.unlink()
                    gone += 1
        return gone

    @contextmanager
    def _opened(self, hour: datetime) -> Iterator[Any]:
        properties = self._factory.file_decryption_properties(self._kms)
        path = self.path(hour)
        try:
            with path.open("rb") as file:
                yield pq.ParquetFile(file, decryption_properties=properties)
        except FileNotFoundError:
            raise DeliveryError(
                f"There are no hashed conversions of the hour {hour:%Y-%m-%d %H:%M} (never made, or purged).",
                "Materialise `hashed_conversions` of this partition, then rerun.",
            ) from None
        except (OSError, pa.ArrowException) as error:
            raise DeliveryError(
                f"The hashed conversions at {path} cannot be read: {first_line(error)}",
                "Make the place readable; if the file is damaged, materialise `hashed_conversions` of this partition again.",
            ) from None
