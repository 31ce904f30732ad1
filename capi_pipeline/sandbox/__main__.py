"""`python -m capi_pipeline.sandbox`: the sandbox on a local port."""

from __future__ import annotations

import argparse
from pathlib import Path

from capi_pipeline.sandbox.server import HOST, serve


def main() -> None:
    parser = argparse.ArgumentParser(prog="capi_pipeline.sandbox", description="Stand-ins of the ad platforms' APIs.")
    parser.add_argument("--port", type=int, default=8900)
    parser.add_argument("--host", default=HOST)
    parser.add_argument("--database", type=Path, help="SQLite file that keeps what was received; default: in memory")
    parser.add_argument("--parent", type=int, help="process id of the parent: stop when it is gone")
    arguments = parser.parse_args()
    serve(arguments.port, arguments.database, arguments.host, arguments.parent)


if __name__ == "__main__":
    main()
