"""`capi` as its own process, forked from one that has everything loaded: as real as the command line, without its start."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["capi_pipeline.cli.runs", "capi_pipeline.definitions", "dagster_postgres"])


def _main(arguments: list[str], environment: dict[str, str], folder: str) -> None:
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.stdin.close()
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["capi", *arguments]
    from capi_pipeline.cli import main, output

    output.out.width = output.err.width = 200
    main()


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Capi:
    """Calls `capi` with `environment` (besides it, only PATH and HOME), in processes of their own."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str, code: int = 0, **changes: str) -> Done:
        """Run it; `changes` to the environment. The exit code must be `code`, and there must be no traceback."""
        plain = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        environment = {**plain, **self.environment, **changes}
        process = _FORKS.Process(target=_main, args=(list(arguments), environment, str(self.folder)))
        process.start()
        process.join(120)
        out, err = ((self.folder / name).read_text() for name in ("stdout", "stderr"))
        assert process.exitcode == code, f"{arguments} ended with {process.exitcode}\n{out[-3000:]}\n{err[-3000:]}"
        assert "Traceback" not in err, err[-3000:]
        assert "Traceback" not in out, out[-3000:]
        process.close()
        return Done(code, out, err)

    def mistake(self, *arguments: str, names: list[str], code: int = 1, **changes: str) -> Done:
        """The command must fail with words that hold each of `names`, as text and as JSON."""
        done = self(*arguments, code=code, **changes)
        for name in names:
            assert name in " ".join(done.err.split()), (name, done.err)
        told = self(*arguments, "--json", code=code, **changes).json
        assert told["error"]
        assert told["remedy"]
        for name in names:
            assert name in " ".join(f"{told['error']} {told['remedy']}".split()), (name, told)
        return done
