"""The warehouse of these tests: a database, the mart in it, and dbt to build it with.

This folder is no package on purpose: as one it would be called `dbt` and hide the real one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, make_url, text

PROJECT = Path(__file__).parents[2] / "dbt_project"


def connection_variables(url: str) -> dict[str, str]:
    """The CAPI_DBT_* variables of dbt_project/profiles.yml for a SQLAlchemy URL (host, or socket folder in the query)."""
    parts = make_url(url)
    host = parts.host or parts.query.get("host") or "localhost"
    return {
        "CAPI_DBT_HOST": str(host),
        "CAPI_DBT_PORT": str(parts.port or 5432),
        "CAPI_DBT_USER": parts.username or "",
        "CAPI_DBT_PASSWORD": parts.password or "",
        "CAPI_DBT_DATABASE": parts.database or "",
    }


@dataclass(frozen=True)
class Dbt:
    """Runs dbt as a process of its own, as a user would."""

    environment: dict[str, str]
    folder: Path

    def __call__(
        self, *arguments: str, project: Path = PROJECT, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """One dbt command; its output is in `stdout`, coloured off."""
        command = [sys.executable, "-m", "dbt.cli.main", "--no-use-colors", "--warn-error", *arguments]
        variables = {
            **{name: value for name, value in os.environ.items() if name not in ("CAPI_DBT_START", "CAPI_DBT_END")},
            **self.environment,
            **(environment or {}),
            "DBT_TARGET_PATH": str(self.folder / "target"),
            "DBT_LOG_PATH": str(self.folder / "logs"),
            "DBT_PROFILES_DIR": str(project),
            "DBT_PROJECT_DIR": str(project),
        }
        return subprocess.run(command, env=variables, cwd=self.folder, capture_output=True, text=True, check=False)

    def build_hours(self, start: str | None = None, end: str | None = None) -> None:
        """Build the mart for [start, end); without hours, from the newest hour on."""
        hours = {name: value for name, value in {"CAPI_DBT_START": start, "CAPI_DBT_END": end}.items() if value}
        done = self("run", "--select", "conversions", environment=hours)
        assert done.returncode == 0, done.stdout


@dataclass(frozen=True)
class Warehouse:
    """The database that holds the raw tables and the mart."""

    engine: Engine
    dbt: Dbt

    def run(self, sql: str) -> None:
        with self.engine.begin() as connection:
            connection.exec_driver_sql(sql)

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql))]

    def digest(self, where: str = "true") -> object:
        """A digest of the mart's rows, whatever their order."""
        return self.rows(
            "select md5(coalesce(string_agg(row_text, '|' order by row_text), '')) "
            f"from (select md5(conversions::text) as row_text from marts.conversions where {where}) as hashed"
        )[0][0]
