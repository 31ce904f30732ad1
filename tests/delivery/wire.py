"""A wire to PostgreSQL that can be cut: between the ledger and the real server, at the moment a test chooses."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path

from sqlalchemy import make_url


class Wire:
    """Listens on a port and passes everything on to the server's socket.

    `down`: connections break and new ones are refused at once. `swallow`: the next so many commits reach the server,
    which carries them out, and the connection breaks before its answer is through.
    """

    def __init__(self, url: str) -> None:
        parsed = make_url(url)
        self._server = str(next(Path(str(parsed.query["host"])).glob(".s.PGSQL.*[0-9]")))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = parsed.set(host="127.0.0.1", port=self._listener.getsockname()[1], query={}).render_as_string(False)
        self.down = False
        self.swallow = 0
        self._ends: list[socket.socket] = []
        self._mute: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self.cut()
        for thread in self._threads:
            thread.join()
        for end in (self._listener, *self._ends):
            end.close()

    def cut(self) -> None:
        """Break every connection, until `restore()`."""
        self.down = True
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def restore(self) -> None:
        self.down = False

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.down:
                client.close()
                continue
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._server)
            self._ends += [client, server]
            for ends in ((client, server, True), (server, client, False)):
                self._threads.append(threading.Thread(target=self._talk, args=ends))
                self._threads[-1].start()

    def _talk(self, source: socket.socket, target: socket.socket, to_server: bool) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if to_server and self.swallow and b"COMMIT" in data:
                    self.swallow -= 1
                    self._mute.add(target)
                elif source in self._mute:
                    break  # the server's answer to that commit
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR if to_server else socket.SHUT_RDWR)
