"""The ledger's PostgreSQL: opened and migrated, and what becomes of its failures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Engine, NullPool, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from tenacity import retry, retry_if_exception, stop_after_delay, wait_random_exponential

from capi_pipeline.delivery.tables import SCHEMA
from capi_pipeline.errors import ConfigurationError, DeliveryError, address, first_line

T = TypeVar("T")
HEAD = "0004"
RECONNECT_SECONDS = 30.0
_EXAMPLE = "Set it to e.g. postgresql+psycopg2://user:password@host:5432/ledger"
# A host that vanished is noticed within a minute, on both sides: the server then gives the locks of its sessions back.
_CLIENT = {"connect_timeout": 10, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
_SESSION = """set tcp_keepalives_idle = 30; set tcp_keepalives_interval = 10; set tcp_keepalives_count = 3;
    select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'"""


def opened(url: str) -> Engine:
    """An engine for the ledger. Raises ConfigurationError for a URL that is not usable or not PostgreSQL."""
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
        if backend != "postgresql":
            raise ConfigurationError(f"The ledger needs PostgreSQL, CAPI_LEDGER_URL names {backend}.", _EXAMPLE)
        engine = create_engine(
            url,
            poolclass=NullPool,  # a run needs one connection, and the server must get it back when the run is over
            hide_parameters=True,
            connect_args={key: value for key, value in _CLIENT.items() if key not in parsed.query},
        )
    except (SQLAlchemyError, ValueError, ImportError) as error:
        raise ConfigurationError(f"CAPI_LEDGER_URL is not a usable URL ({type(error).__name__}).", _EXAMPLE) from None
    event.listen(engine, "connect", _prepare)
    return engine


def _prepare(connection: Any, _: object) -> None:
    """Each new session: a commit is on disk before it returns, for a claim must outlive a crash of the server."""
    with connection.cursor() as cursor:
        cursor.execute(_SESSION)
    connection.commit()


def migrate(engine: Engine) -> None:
    """Bring the tables to HEAD. Raises DeliveryError when the database does not answer (it may be starting again),
    ConfigurationError when it refuses us or is of a newer version."""
    try:
        _migrate(engine)
    except DBAPIError as error:
        words = first_line(error)
        what = f"The ledger's database ({address(engine.url)})"
        if isinstance(error, OperationalError):
            raise DeliveryError(
                f"{what} does not answer: {words}", "Start it, or correct CAPI_LEDGER_URL. Nothing was sent."
            ) from None
        raise ConfigurationError(
            f"{what} cannot be used: {words}", "Correct CAPI_LEDGER_URL or its user's rights. Nothing was sent."
        ) from None


def _migrate(engine: Engine) -> None:
    with engine.connect() as connection:
        exists = connection.execute(text(f"select to_regclass('{SCHEMA}.alembic_version')")).scalar()
        if exists and connection.execute(text(f"select version_num from {SCHEMA}.alembic_version")).scalar() == HEAD:
            return
    from alembic import command  # slow to import, and only needed when there is something to do
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", "capi_pipeline.delivery:migrations")
    with engine.begin() as connection:
        connection.execute(text("select pg_advisory_xact_lock(hashtext('capi_pipeline.migrate'))"))
        connection.execute(text(f"create schema if not exists {SCHEMA}"))
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise ConfigurationError(
                f"The ledger was made by a newer version of capi_pipeline ({error}).",
                "Update this installation, or point CAPI_LEDGER_URL to another database. Nothing was sent.",
            ) from None


def array(values: Iterable[Any]) -> str:
    """A PostgreSQL array as one literal (texts, numbers, booleans, times, nulls): read by the server in one go, where the
    driver would write an expression for each element. https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO"""
    return f"{{{','.join(map(_element, values))}}}"


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, int):  # also a boolean
        return str(value)
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


# --- failures ---------------------------------------------------------------------------------------------------------


def persistently(once: Callable[[], T], seconds: float = RECONNECT_SECONDS, lost: bool = True) -> T:
    """`once()`, a whole transaction, again for so many seconds while its failure is one that passes: with `lost` also
    where nobody knows whether it was committed; else only where it certainly was not (a deadlock)."""
    again = retry(
        retry=retry_if_exception(_passes if lost else _undone),
        stop=stop_after_delay(seconds),
        wait=wait_random_exponential(0.2, max=2.0),
        reraise=True,
    )
    return again(once)()


@contextmanager
def answering(what: str) -> Iterator[None]:
    """A failure of the database as an error for a person; never its words, which can hold data."""
    try:
        yield
    except DBAPIError as error:
        raise DeliveryError(
            f"The database of {what} failed or went away ({type(error.orig).__name__}).",
            "See to it, then rerun this partition: what was in flight is settled first.",
        ) from None


def _undone(error: BaseException) -> bool:
    """Rolled back for the sake of another transaction (class 40: deadlock, serialisation)."""
    return _code(error).startswith("40")


def _passes(error: BaseException) -> bool:
    """A failure that another try can outlive: no connection, no resources, an operator at work, a failover; not what
    the data or the statement are to blame for. https://www.postgresql.org/docs/current/errcodes-appendix.html"""
    if not isinstance(error, DBAPIError):
        return False
    code = _code(error)
    return (
        code[:2] in ("08", "25", "40", "53", "55", "57", "58")
        if code
        else error.connection_invalidated or (isinstance(error, OperationalError))
    )


def _code(error: BaseException) -> str:
    return str(getattr(getattr(error, "orig", None), "pgcode", None) or "")
