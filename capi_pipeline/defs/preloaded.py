"""What the executor's forkserver imports before it forks the steps of a run: each of them inherits the code location, and every
module that a step uses. Nothing here opens a connection or starts a thread: a fork would not survive that.
"""

from contextlib import suppress

import dagster_postgres  # noqa: F401  the instance's storages, with SQLAlchemy and its drivers
from sqlalchemy.dialects.postgresql import psycopg2  # noqa: F401

from capi_pipeline import definitions
from capi_pipeline.errors import CapiError

with suppress(CapiError):  # a document that became wrong a moment ago: the step loads it again, and says so
    definitions.inherited = definitions.load()
    definitions.inherited.get_repository_def()
