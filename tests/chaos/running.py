"""Many schedules, some at once: each thread has a PostgreSQL of its own, since schedules kill it."""

from __future__ import annotations

import tempfile
import threading
import traceback
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from pathlib import Path

from tests.chaos.play import Result, play
from tests.chaos.schedule import schedule
from tests.chaos.world import Database


def play_all(seeds: Iterable[int], jobs: int) -> Iterator[Result]:
    """Play the schedules of these seeds, `jobs` at once; results as they come."""
    here = threading.local()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-pg-", ignore_cleanup_errors=True)))
        guard = threading.Lock()

        def one(seed: int) -> Result:
            try:
                if not hasattr(here, "database"):
                    database = Database(folder / f"{threading.get_ident()}")
                    with guard:
                        here.database = stack.enter_context(database)
                return play(schedule(seed), here.database)
            except Exception:  # the test's own machinery: it must not hide behind a good average
                return Result(seed, False, faulty=[traceback.format_exc()])

        pool = ThreadPoolExecutor(jobs)
        try:
            for future in as_completed([pool.submit(one, seed) for seed in seeds]):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)
