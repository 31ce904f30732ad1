"""A server that does nothing, as fast as Python can: reads a request, counts the events in it, says that it has them.

`python sink.py` prints its port and runs until its standard input closes.
"""

from __future__ import annotations

import socket
import sys
import threading

EVENT = b'"event_name"'  # stands once in each event, of every sender


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    threading.Thread(target=_accept, args=(listener,), daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    sys.stdin.read()


def _accept(listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_serve, args=(connection,), daemon=True).start()


def _serve(connection: socket.socket) -> None:
    """Requests with a Content-Length on one connection, one after the other (keep-alive), until the sender closes it."""
    buffer = bytearray(4 << 20)
    view = memoryview(buffer)
    have = 0
    with connection:
        while True:
            while (head := buffer.find(b"\r\n\r\n", 0, have)) < 0:
                got = connection.recv_into(view[have:])
                if not got:
                    return
                have += got
            end = head + 4 + _length(bytes(view[:head]))
            if end > len(buffer):
                raise SystemExit(f"sink: a request of {end} bytes")
            while have < end:
                got = connection.recv_into(view[have:])
                if not got:
                    return
                have += got
            body = b'{"events_received":%d,"fbtrace_id":"A1"}' % buffer.count(EVENT, head, end)
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
            )
            buffer[: have - end] = buffer[end:have]
            have -= end


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        if line[:15].lower() == b"content-length:":
            return int(line[15:])
    return 0


if __name__ == "__main__":
    main()
