"""What the processes of an installation show to everybody on the machine: their arguments, and where they listen."""

from __future__ import annotations

import os
import socket
import struct
import threading
from contextlib import suppress
from pathlib import Path

LISTENING = "0A"


class Watch:
    """While it is open, looks again and again at every process that has `home` in its arguments or its environment.
    `lines`: their command lines; `hosts`: the addresses at which they listen for TCP connections."""

    def __init__(self, home: Path) -> None:
        self.lines: set[str] = set()
        self.hosts: set[str] = set()
        self._home = os.fsencode(home)
        self._ours: dict[tuple[str, bytes], bool] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.1):
            processes = [process for process in Path("/proc").glob("[0-9]*") if self._is_ours(process)]
            if processes:
                self.hosts |= _hosts(processes)

    def _is_ours(self, process: Path) -> bool:
        if process.name == str(os.getpid()):
            return False
        with suppress(OSError):
            line = (process / "cmdline").read_bytes()
            key = process.name, line
            if key not in self._ours:
                self._ours[key] = self._home in line or self._home in (process / "environ").read_bytes()
                if self._ours[key]:
                    self.lines.add(line.replace(b"\0", b" ").decode("utf-8", "replace"))
            return self._ours[key]
        return False


def _hosts(processes: list[Path]) -> set[str]:
    sockets = set()
    for process in processes:
        with suppress(OSError):
            for file in (process / "fd").iterdir():
                with suppress(OSError):
                    sockets.add(str(file.readlink()))
    hosts = set()
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == LISTENING and f"socket:[{words[9]}]" in sockets:
                address = words[1].partition(":")[0]
                parts = [struct.pack("=I", int(address[at : at + 8], 16)) for at in range(0, len(address), 8)]
                hosts.add(socket.inet_ntop(family, b"".join(parts)))
    return hosts
