"""A warehouse with a small shop in it, built once by dbt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from tests.dbt.built_warehouse import PROJECT, Dbt, Warehouse, connection_variables

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def warehouse(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """A warehouse whose mart was built once, without hours, from the rows of raw_rows.sql."""
    engine = create_engine(module_database_url, execution_options={"no_parameters": True})
    warehouse = Warehouse(engine, Dbt(connection_variables(module_database_url), tmp_path_factory.mktemp("dbt")))
    try:
        warehouse.run((HERE / "raw_tables.sql").read_text())
        warehouse.run((HERE / "raw_rows.sql").read_text())
        done = warehouse.dbt("build", "--exclude-resource-type", "unit_test")
        assert done.returncode == 0, done.stdout
        yield warehouse
    finally:
        engine.dispose()


@pytest.fixture
def offline_dbt(tmp_path: Path) -> Dbt:
    """dbt with no database behind it."""
    return Dbt(connection_variables("postgresql://nobody@localhost:1/nowhere"), tmp_path)


@pytest.fixture
def changed_project(tmp_path: Path) -> Callable[[str, str, str], Path]:
    """A copy of the project in which one text of one file is replaced."""

    def change(file: str, old: str, new: str) -> Path:
        copy = tmp_path / "project"
        for path in PROJECT.rglob("*"):
            relative = path.relative_to(PROJECT)
            if path.is_file() and relative.parts[0] not in ("target", "logs"):
                (copy / relative).parent.mkdir(parents=True, exist_ok=True)
                (copy / relative).write_bytes(path.read_bytes())
        before = (copy / file).read_text()
        assert old in before
        (copy / file).write_text(before.replace(old, new, 1))
        return copy

    return change
