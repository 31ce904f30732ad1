"""`capi` as its own process, forked from one that has everything loaded: as real as the command line, without its start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any


def serve() -> None:
    """Fork a process for each line (arguments, environment, folder) of standard input; answer with its exit code."""
    for module in ("capi_pipeline.cli.runs", "capi_pipeline.definitions", "dagster_postgres"):
        import_module(module)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            os._exit(_run(*json.loads(line)))
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def _run(arguments: list[str], environment: dict[str, str], folder: str) -> int:
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["capi", *arguments]
    from capi_pipeline.cli import main, output

    output.out.width = output.err.width = 200
    code = 1
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def forks() -> AbstractContextManager[subprocess.Popen[str]]:
    """The process that `serve`s."""
    return subprocess.Popen(
        [sys.executable, "-c", "from tests.cli.command import serve; serve()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip


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

    forks: subprocess.Popen[str]
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str, code: int = 0, **changes: str) -> Done:
        """Run it; `changes` to the environment. The exit code must be `code`, and there must be no traceback."""
        plain = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        environment = {**plain, **self.environment, **changes}
        assert self.forks.stdin
        assert self.forks.stdout
        self.forks.stdin.write(json.dumps([arguments, environment, str(self.folder)]) + "\n")
        self.forks.stdin.flush()
        ended = int(self.forks.stdout.readline())
        out, err = ((self.folder / name).read_text() for name in ("stdout", "stderr"))
        assert ended == code, f"{arguments} ended with {ended}\n{out[-3000:]}\n{err[-3000:]}"
        assert "Traceback" not in err, err[-3000:]
        assert "Traceback" not in out, out[-3000:]
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
