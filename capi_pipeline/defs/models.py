"""The dbt models as assets: from raw tables to the mart `conversions`."""

import fcntl
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import dagster as dg
from sqlalchemy import make_url

from capi_pipeline.components.failures import failure, retries
from capi_pipeline.components.hours import hourly
from capi_pipeline.errors import ConfigurationError, without_values
from capi_pipeline.settings import Settings, settings

MART = dg.AssetKey(["warehouse", "conversions"])


def environment(url: str) -> dict[str, str]:
    """The variables by which dbt's profile finds the warehouse at a SQLAlchemy URL."""
    parts = make_url(url)
    query = {key: value if isinstance(value, str) else value[0] for key, value in parts.query.items()}
    return {
        "CAPI_DBT_HOST": parts.host or query.get("host", "localhost"),
        "CAPI_DBT_PORT": str(parts.port or query.get("port", 5432)),
        "CAPI_DBT_USER": parts.username or "",
        "CAPI_DBT_PASSWORD": str(parts.password or ""),
        "CAPI_DBT_DATABASE": parts.database or "",
    }


def manifest(project: Path) -> Path:
    """The project's manifest, parsed again when a file of the project is newer. Needs no database."""
    target = project / "target"
    path = target / "manifest.json"
    target.mkdir(exist_ok=True)
    with (target / ".parse.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several processes may load the code location at once
        made = path.stat().st_mtime if path.exists() else 0.0
        if any(file.stat().st_mtime > made for file in _sources(project)):
            with tempfile.TemporaryDirectory() as scratch:
                names = ("CAPI_DBT_HOST", "CAPI_DBT_PORT", "CAPI_DBT_USER", "CAPI_DBT_PASSWORD", "CAPI_DBT_DATABASE")
                done = subprocess.run(
                    [
                        dbt_executable(),
                        "parse",
                        "--project-dir",
                        str(project),
                        "--profiles-dir",
                        str(project),
                        "--quiet",
                    ],
                    env={
                        **dict.fromkeys(names, "0"),
                        **os.environ,
                        "DBT_TARGET_PATH": scratch,
                        "DBT_LOG_PATH": scratch,
                    },
                    capture_output=True,
                    text=True,
                )
                if done.returncode:
                    raise ConfigurationError(
                        f"The dbt project {project} does not parse:\n{done.stdout[-2000:]}{done.stderr[-500:]}".rstrip(),
                        "Correct the file that dbt names.",
                    )
                shutil.copy(Path(scratch) / "manifest.json", target / "manifest.draft")
            (target / "manifest.draft").rename(path)
    return path


def _sources(project: Path) -> Iterator[Path]:
    yield from project.glob("*.yml")
    for folder in ("models", "macros", "tests", "seeds", "snapshots"):
        yield from (project / folder).rglob("*.*")


def dbt_executable() -> str:
    """The dbt of this very environment, whether or not it is activated."""
    beside = Path(sys.executable).with_name("dbt")
    return str(beside) if beside.exists() else "dbt"


def defs(chosen: Settings) -> dg.Definitions:
    """One asset per dbt model, hourly; nothing when CAPI_DBT_PROJECT is `off`."""
    project = chosen.dbt_project
    if project is None:
        return dg.Definitions()
    from dagster_dbt import DagsterDbtTranslator, DbtCliResource, dbt_assets

    parsed = manifest(project)

    class Translator(DagsterDbtTranslator):
        def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
            if dbt_resource_props["resource_type"] == "source":
                return dg.AssetKey([dbt_resource_props["source_name"], dbt_resource_props["name"]])
            return dg.AssetKey(["warehouse", dbt_resource_props["name"]])

        def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
            source = dbt_resource_props["resource_type"] == "source"
            return str(dbt_resource_props["source_name"] if source else dbt_resource_props["fqn"][1])

    @dbt_assets(
        manifest=parsed,
        name="dbt_models",
        partitions_def=hourly(),
        pool="dbt",
        backfill_policy=dg.BackfillPolicy.single_run(),
        dagster_dbt_translator=Translator(),
        retry_policy=retries(chosen),
    )
    def models(context: dg.AssetExecutionContext) -> Iterator[Any]:
        window = context.partition_time_window
        hours = {"CAPI_DBT_START": window.start.isoformat(), "CAPI_DBT_END": window.end.isoformat()}
        os.environ.update(environment(settings().require("warehouse_url")) | hours)
        dbt = DbtCliResource(project_dir=str(project), profiles_dir=str(project), dbt_executable=dbt_executable())
        with tempfile.TemporaryDirectory(prefix="capi-dbt-") as target:  # dbt would keep a folder per run for ever
            run = dbt.cli(["build", "--exclude-resource-type", "unit_test"], context=context,
                          target_path=Path(target), raise_on_error=False)  # fmt: skip
            with redirect_stdout(_WithoutValues(sys.stdout)):
                yield from run.stream()
            _keep_parsed(Path(target), project)
            if not run.is_successful():
                told = _why(run)
                words = told or f"It could not even begin: {' '.join(_dbt_says(run).split())[:600]}"
                raise failure(context, f"dbt could not build this hour. {words}", passing=not told)

    return dg.Definitions(assets=[models, *_sources_of(parsed)])


class _WithoutValues(io.TextIOBase):
    """dbt's log on its way to Dagster's: what the database quotes of a row does not go along."""

    def __init__(self, log: Any) -> None:
        super().__init__()
        self._log = log

    def write(self, text: str) -> int:
        return int(self._log.write(without_values(text)) or 0)

    def flush(self) -> None:
        self._log.flush()


def _keep_parsed(target: Path, project: Path) -> None:
    """Put what this run parsed where the next run's dbt takes it from: parsing is most of a short run."""
    parsed = target / "partial_parse.msgpack"
    if parsed.exists():
        draft = project / "target" / f"partial_parse.{os.getpid()}"
        shutil.copy(parsed, draft)
        draft.replace(project / "target" / parsed.name)


def _sources_of(path: Path) -> list[dg.AssetSpec]:
    """The raw tables and the delivery log, so that lineage begins where the data does."""
    sources = json.loads(path.read_text("utf-8"))["sources"].values()
    return [
        dg.AssetSpec(
            dg.AssetKey([source["source_name"], source["name"]]),
            group_name=source["source_name"],
            description=source["description"] or None,
            kinds={"table"},
            metadata={"dagster/table_name": f"{source['schema']}.{source['identifier']}"},
        )
        for source in sources
    ]


def _dbt_says(run: Any) -> str:
    """The errors that dbt logged before it gave up."""
    said = str(run.get_error() or "").partition("Errors parsed from dbt logs:")[2]
    return without_values(said) or "see the step's log."


def _why(run: Any) -> str:
    """The models and tests that failed, with the database's words."""
    try:
        results = run.get_artifact("run_results.json")["results"]
    except FileNotFoundError:
        return ""
    bad = [r for r in results if r["status"] in ("error", "fail")]
    told = [
        f"{r['unique_id'].split('.', 2)[-1]}: {' '.join(without_values(r['message'] or '').split())[:300]}"
        for r in bad[:5]
    ]
    return "\n".join(told)
