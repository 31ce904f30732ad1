"""Shared fixtures: one real PostgreSQL for the whole test run, a fresh database for each test that asks."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from capi_pipeline import embedded

SLOWEST = (
    "end_to_end",
    "secrets",
    "dbt",
    "cli",
    "chaos",
)  # a file of these takes a minute: none may be the last to begin


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        return SLOWEST.index(folder) if folder in SLOWEST else len(SLOWEST)

    items.sort(key=place)  # the order within a folder stays


@pytest.fixture(scope="session")
def postgres_sockets(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[Path]:
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent  # parallel workers share one server
    with embedded.postgres(shared / "postgres") as sockets:
        yield sockets


def fresh_database(sockets: Path) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex[:12]}"
    admin = create_engine(embedded.url(sockets, "postgres"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f'create database "{name}"'))
    try:
        yield embedded.url(sockets, name)
    finally:
        with admin.connect() as connection:
            connection.execute(text(f'drop database "{name}" with (force)'))
        admin.dispose()


@pytest.fixture
def warehouse_url(postgres_sockets: Path) -> Iterator[str]:
    """SQLAlchemy URL of an empty database for the test's warehouse."""
    yield from fresh_database(postgres_sockets)


@pytest.fixture
def ledger_url(postgres_sockets: Path) -> Iterator[str]:
    """SQLAlchemy URL of an empty database for the test's ledger."""
    yield from fresh_database(postgres_sockets)


@pytest.fixture(scope="module")
def module_database_url(postgres_sockets: Path) -> Iterator[str]:
    """SQLAlchemy URL of an empty database shared by the tests of one module."""
    yield from fresh_database(postgres_sockets)
