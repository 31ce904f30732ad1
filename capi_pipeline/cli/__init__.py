"""The `capi` command."""

from __future__ import annotations

import sys

import typer

from capi_pipeline.cli import delivering, looking, running, showing
from capi_pipeline.cli.output import complain
from capi_pipeline.errors import CapiError

app = typer.Typer(
    name="capi",
    help="The warehouse's conversions, delivered to every ad platform's conversion API, each exactly once.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    add_completion=False,
)
for module in (running, delivering, looking, showing):
    module.register(app)


def main() -> None:
    """Entry point: mistakes end with what is wrong and the remedy, never with a traceback."""
    try:
        app()
    except CapiError as error:
        complain(error)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
