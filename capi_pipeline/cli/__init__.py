"""The `capi` command."""

from __future__ import annotations

import signal
import sys
from typing import Any

import typer

from capi_pipeline.cli import (
    candidates,
    delivering,
    evaluating,
    explaining,
    forgetting,
    looking,
    pruning,
    reporting,
    running,
    showing,
)
from capi_pipeline.cli.output import as_json, complain
from capi_pipeline.errors import CapiError

app = typer.Typer(
    name="capi",
    help="The warehouse's conversions, delivered to every ad platform's conversion API, each exactly once.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    add_completion=False,
)
for module in (
    running,
    delivering,
    looking,
    explaining,
    reporting,
    pruning,
    forgetting,
    showing,
    evaluating,
    candidates,
):
    module.register(app)


def main() -> None:
    """Entry point: mistakes end with what is wrong and the remedy, never with a traceback."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:  # nohup has it ignored
            signal.signal(number, _end)
    try:
        sys.exit(app(standalone_mode=not as_json()))
    except CapiError as error:
        complain(error.message, error.remedy)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        words = getattr(error, "format_message", None)  # typer has no public class for a wrong option or argument
        if not (as_json() and words):
            raise
        complain(words(), "See `capi --help`.")
        sys.exit(2)


def _end(*_: Any) -> None:
    """A command that is told to end does so as after Ctrl-C, and stops what it started (PostgreSQL, the sandbox)."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
