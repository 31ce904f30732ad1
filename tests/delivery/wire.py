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
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, down: bool = True) -> None:
        """Break every connection; with `down`, until `restore()`."""
        self.down = down
        for end in self._open:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def restore(self) -> None:
        self.down = False

    def close(self) -> None:
        self.cut()
        self._listener.close()

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
            self._open += [client, server]
            threading.Thread(target=self._talk, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._talk, args=(server, client, False), daemon=True).start()

    def _talk(self, source: socket.socket, target: socket.socket, to_server: bool) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if to_server and self.swallow and b"COMMIT" in data:
                    self.swallow -= 1
                    source.shutdown(socket.SHUT_RDWR)  # the client hears nothing any more; the server carries it out
                    target.sendall(data)
                    break
                target.sendall(data)
        with suppress(OSError):
            if to_server:
                target.shutdown(socket.SHUT_WR)  # the server ends its session when it has done what it was told
            else:
                source.close()
                target.close()
