"""Hashed conversions at rest: whole or not there, encrypted, and gone after their time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from cryptography.fernet import Fernet

from capi_pipeline.errors import ConfigurationError, ContractError, DeliveryError
from capi_pipeline.staging import ROWS, Staging

HOUR = datetime(2026, 10, 1, 14, tzinfo=UTC)
KEY = Fernet.generate_key()
SCHEMA = pa.schema([("event_id", pa.string()), ("digest", pa.list_(pa.string()))])


def batch(*ids: str) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"event_id": list(ids), "digest": [["d" * 64]] * len(ids)}, SCHEMA)


def ids(store: Staging, hour: datetime = HOUR) -> list[str]:
    return [id_ for found in store.read(hour) for id_ in found["event_id"].to_pylist()]


@pytest.fixture
def store(tmp_path: Path) -> Staging:
    return Staging(str(tmp_path / "staging"), KEY)


def files(store: Staging) -> list[str]:
    return sorted(str(path.relative_to(str(store.root))) for path in Path(str(store.root)).rglob("*") if path.is_file())


@pytest.fixture(params=["disk", "memory"])
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> Staging:
    """On disk, and on a file system of fsspec as object stores are."""
    return Staging(str(tmp_path) if request.param == "disk" else f"memory://{tmp_path.name}/staging", KEY)


def test_an_hour_comes_back_as_it_was_written(any_store: Staging) -> None:
    size = any_store.write(HOUR, SCHEMA, [batch("a", "b"), batch("c")])
    assert size == any_store.path(HOUR).stat().st_size
    assert ids(any_store) == ["a", "b", "c"]
    assert sum(batch.num_rows for batch in any_store.read(HOUR)) == 3
    (read,) = any_store.read(HOUR)
    assert read.schema == SCHEMA


def test_a_rerun_replaces_the_hour(any_store: Staging) -> None:
    any_store.write(HOUR, SCHEMA, [batch("old")])
    any_store.write(HOUR, SCHEMA, [batch("new")])
    assert ids(any_store) == ["new"]


def test_an_hour_without_conversions_is_there_and_empty(any_store: Staging) -> None:
    any_store.write(HOUR, SCHEMA, [])
    assert ids(any_store) == []
    assert sum(batch.num_rows for batch in any_store.read(HOUR)) == 0


def test_a_large_hour_is_read_in_parts(store: Staging) -> None:
    store.write(HOUR, SCHEMA, [batch(*map(str, range(n * 5000, (n + 1) * 5000))) for n in range(5)])
    parts = [part.num_rows for part in store.read(HOUR)]
    assert max(parts) <= ROWS
    assert ids(store) == list(map(str, range(25000)))


def test_no_value_and_no_column_name_can_be_read_from_the_file(store: Staging) -> None:
    store.write(HOUR, SCHEMA, [batch("order-4711")])
    raw = Path(str(store.path(HOUR))).read_bytes()
    for word in (b"order-4711", b"event_id", b"d" * 64):
        assert word not in raw


def test_another_key_is_told_as_that(store: Staging) -> None:
    store.write(HOUR, SCHEMA, [batch("a")])
    other = Staging(str(store.root), Fernet.generate_key())
    with pytest.raises(ConfigurationError, match="another CAPI_STAGING_KEY") as error:
        ids(other)
    assert "materialise `hashed_conversions`" in error.value.remedy
    assert ids(store) == ["a"]


def test_an_hour_that_was_never_made(any_store: Staging) -> None:
    with pytest.raises(DeliveryError, match="2026-10-01 14:00") as error:
        ids(any_store)
    assert "Materialise" in error.value.remedy


@pytest.mark.parametrize("damage", [b"", b"PAR1", b"x" * 500])
def test_a_damaged_file_is_told_as_that(store: Staging, damage: bytes) -> None:
    store.write(HOUR, SCHEMA, [batch("a")])
    Path(str(store.path(HOUR))).write_bytes(damage)
    with pytest.raises(DeliveryError, match="cannot be read") as error:
        ids(store)
    assert str(store.path(HOUR)) in error.value.message


def test_a_file_that_was_cut_or_changed_is_never_half_read(store: Staging) -> None:
    store.write(HOUR, SCHEMA, [batch(*map(str, range(20000)))])
    path = Path(str(store.path(HOUR)))
    whole = path.read_bytes()
    middle = len(whole) // 2
    for wrong in (whole[:middle], whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]):
        path.write_bytes(wrong)
        with pytest.raises(DeliveryError):
            ids(store)


def test_a_failure_in_the_middle_leaves_the_old_hour_and_no_draft(store: Staging) -> None:
    store.write(HOUR, SCHEMA, [batch("old")])

    def broken() -> Iterator[pa.RecordBatch]:
        yield batch("new")
        raise ContractError("a row breaks the contract")

    with pytest.raises(ContractError):
        store.write(HOUR, SCHEMA, broken())
    assert ids(store) == ["old"]
    assert files(store) == ["2026-10-01/14.parquet"]


def test_a_reader_keeps_the_hour_that_it_began_with(store: Staging) -> None:
    store.write(HOUR, SCHEMA, [batch(*map(str, range(20000)))])
    reading = store.read(HOUR)
    first = next(reading)
    store.write(HOUR, SCHEMA, [batch("new")])
    assert [*first["event_id"].to_pylist(), *(i for b in reading for i in b["event_id"].to_pylist())] == list(
        map(str, range(20000))
    )


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DeliveryError, match="cannot be stored") as error:
        Staging(str(tmp_path / "file"), KEY).write(HOUR, SCHEMA, [batch("a")])
    assert "CAPI_STAGING_URL" in error.value.remedy
    assert "Nothing was sent" in error.value.remedy


@pytest.mark.parametrize("url", ["nonsense://bucket/x", "s3:/bucket"])
def test_a_url_that_cannot_be_used(url: str) -> None:
    with pytest.raises(ConfigurationError, match="CAPI_STAGING_URL"):
        Staging(url, KEY)


# --- retention --------------------------------------------------------------------------------------------------------


def age(store: Staging, name: str, days: float) -> None:
    path = Path(str(store.root)) / name
    when = (datetime.now(UTC) - timedelta(days=days)).timestamp()
    os.utime(path, (when, when))


def test_what_was_written_long_ago_is_deleted_and_the_rest_stays(store: Staging) -> None:
    for n in range(3):
        store.write(HOUR + timedelta(hours=n), SCHEMA, [batch("a")])
    age(store, "2026-10-01/14.parquet", 15)
    age(store, "2026-10-01/15.parquet", 13)
    assert store.purge(datetime.now(UTC) - timedelta(days=14)) == 1
    assert files(store) == ["2026-10-01/15.parquet", "2026-10-01/16.parquet"]


def test_the_draft_of_a_killed_process_is_deleted_too(store: Staging) -> None:
    store.write(HOUR, SCHEMA, [batch("a")])
    (Path(str(store.root)) / "2026-10-01/.14.parquet.0a1b2c3d").write_bytes(b"half an hour")
    cutoff = datetime.now(UTC) - timedelta(days=14)
    assert store.purge(cutoff) == 0
    age(store, "2026-10-01/.14.parquet.0a1b2c3d", 15)
    assert store.purge(cutoff) == 1
    assert files(store) == ["2026-10-01/14.parquet"]


def test_a_backfill_of_long_ago_is_not_deleted_by_the_next_hour(store: Staging) -> None:
    old = HOUR - timedelta(days=400)
    store.write(old, SCHEMA, [batch("a")])
    store.write(old + timedelta(hours=1), SCHEMA, [batch("b")])
    assert store.purge(datetime.now(UTC) - timedelta(days=14)) == 0
    assert ids(store, old) == ["a"]


def test_purging_works_on_any_file_system(any_store: Staging) -> None:
    assert any_store.purge(datetime.now(UTC)) == 0  # nothing was ever written
    any_store.write(HOUR, SCHEMA, [batch("a")])
    assert any_store.purge(datetime.now(UTC) - timedelta(days=1)) == 0
    assert any_store.purge(datetime.now(UTC) + timedelta(days=1)) == 1
    with pytest.raises(DeliveryError, match="purged"):
        ids(any_store)


def test_only_the_columns_that_are_wanted_are_read(store: Staging) -> None:
    store.write(HOUR, SCHEMA, [batch("a", "b")])
    assert [found.schema.names for found in store.read(HOUR, ["digest"])] == [["digest"]]
    assert [found.schema.names for found in store.read(HOUR, ["digest", "event_id"])] == [["digest", "event_id"]]
    with pytest.raises(DeliveryError, match="older version: they lack `phone_e164`"):
        list(store.read(HOUR, ["event_id", "phone_e164"]))
