"""One ledger for the tests of this folder, emptied before each: making a database takes longer than most tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, NullPool, create_engine, text

from capi_pipeline.delivery.ledger import Ledger
from capi_pipeline.sandbox import server
from capi_pipeline.settings import Settings
from tests.conftest import fresh_database
from tests.delivery.site import Site


@pytest.fixture(scope="session")
def ledger_database(postgres_sockets: Path) -> Iterator[Engine]:
    for url in fresh_database(postgres_sockets):
        Ledger.open(url).engine.dispose()
        engine = create_engine(url, poolclass=NullPool)  # tests end every session but their own
        yield engine
        engine.dispose()


@pytest.fixture
def ledger_url(ledger_database: Engine) -> str:
    """SQLAlchemy URL of a migrated ledger without rows; sessions of the test before it are ended."""
    with ledger_database.begin() as connection:
        connection.execute(
            text(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
                "where datname = current_database() and pid <> pg_backend_pid()"
            )
        )
        connection.execute(text("truncate capi.deliveries, capi.verdicts, capi.tokens, capi.pruned"))
    return ledger_database.url.render_as_string(False)


@pytest.fixture
def empty_url(postgres_sockets: Path) -> Iterator[str]:
    """SQLAlchemy URL of a database of its own, without any table."""
    yield from fresh_database(postgres_sockets)


@pytest.fixture
def site(ledger_url: str, tmp_path: Path) -> Iterator[Site]:
    with server.in_thread() as address:
        yield Site(address, Settings(ledger_url=ledger_url, home=tmp_path, patience=5))
