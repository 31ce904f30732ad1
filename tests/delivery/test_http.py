"""The door to the network, over real sockets: what a failure says about where the request got to."""

from __future__ import annotations

import gzip
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from capi_pipeline.delivery.http import LARGEST_ANSWER, NotSent, Transport, Unanswered, signed
from capi_pipeline.platforms.auth import OAuth1
from capi_pipeline.platforms.wire import Request

Act = Callable[[socket.socket, bytes], None]


class Server:
    """Plays `acts`, one per connection or request; keeps every request as it came."""

    def __init__(self, acts: list[Act], context: ssl.SSLContext | None = None, greeting: bytes = b"") -> None:
        self.acts, self.context, self.greeting = list(acts), context, greeting
        self.requests: list[bytes] = []
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"{'https' if self.context else 'http'}://127.0.0.1:{self.port}"

    def _serve(self) -> None:
        while not self.over.is_set():
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._talk, args=(client,), daemon=True).start()

    def _talk(self, client: socket.socket) -> None:
        try:
            client.settimeout(10)
            client.sendall(self.greeting)
            if self.context:
                client = self.context.wrap_socket(client, server_side=True)
            while self.acts:
                request = _read(client)
                if not request:
                    return
                self.requests.append(request)
                self.acts.pop(0)(client, request)
        except OSError:
            pass
        finally:
            client.close()

    def close(self) -> None:
        self.over.set()
        self.listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self.listener.close()


def _read(client: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        part = client.recv(65536)
        if not part:
            return b""
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    while len(body) < length:
        body += client.recv(65536)
    return head + b"\r\n\r\n" + body


def reply(body: bytes = b"{}", status: str = "200 OK", length: int | None = None, **headers: str) -> Act:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    raw = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body

    def act(client: socket.socket, _: bytes) -> None:
        client.sendall(raw)
        if length is not None:
            client.close()

    return act


def reset(client: socket.socket, _: bytes) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def hang_up(client: socket.socket, _: bytes) -> None:
    client.close()


def silence(client: socket.socket, _: bytes) -> None:
    time.sleep(3)


def drip(first: bytes, each: bytes, pause: float, times: int = 200) -> Act:
    def act(client: socket.socket, _: bytes) -> None:
        client.sendall(first)
        for _n in range(times):
            time.sleep(pause)
            client.sendall(each)

    return act


@contextmanager
def serving(*acts: Act, context: ssl.SSLContext | None = None, greeting: bytes = b"") -> Iterator[Server]:
    server = Server(list(acts), context, greeting)
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def transport() -> Iterator[Transport]:
    transport = Transport(connect=1.0, read=0.5, total=1.0)
    yield transport
    transport.close()


def get(url: str) -> Request:
    return Request("GET", url)


# --- the request cannot have arrived --------------------------------------------------------------------------------


def test_a_refused_connection_is_not_sent(transport: Transport) -> None:
    with serving() as server:
        url = server.url
    with pytest.raises(NotSent, match=r"ConnectionRefusedError|NewConnectionError"):
        transport(get(url))


def test_a_name_that_does_not_exist_is_not_sent(transport: Transport) -> None:
    with pytest.raises(NotSent) as caught:
        transport(get("http://no-such-host.invalid/secret-path?token=abc"))
    assert "secret" not in str(caught.value)
    assert "abc" not in str(caught.value)


def test_a_connection_that_never_comes_is_not_sent() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        transport = Transport(connect=0.3, read=5)
        with pytest.raises(NotSent, match=r"no connection within 0\.3 s"):
            transport(get(f"http://127.0.0.1:{full.getsockname()[1]}"))
        for each in waiting:
            each.close()
        transport.close()


@pytest.mark.parametrize(
    "url", ["", "no-scheme", "ftp://host/x", "http://", "http://host:notaport/", "http://[::1", "http://.bad/"]
)
def test_an_unusable_address_is_not_sent(transport: Transport, url: str) -> None:
    with pytest.raises(NotSent):
        transport(get(url))


@pytest.mark.parametrize("token", ["abc\n", "abc\r\nX-Injected: 1", "tök–én", " lead"])
def test_a_token_that_no_header_can_hold_is_not_sent_and_not_shown(transport: Transport, token: str) -> None:
    with serving(reply()) as server, pytest.raises(NotSent) as caught:
        transport(get(server.url).with_headers(Authorization=token))
    assert server.requests == []
    assert "abc" not in str(caught.value)


# --- the request may have arrived -----------------------------------------------------------------------------------


@pytest.mark.parametrize("act", [reset, hang_up])
def test_a_connection_that_breaks_before_the_answer_is_unanswered(transport: Transport, act: Act) -> None:
    with serving(act) as server:
        with pytest.raises(Unanswered):
            transport(Request("POST", server.url, json={"a": 1}))
        assert len(server.requests) == 1  # never repeated behind our back


def test_an_answer_that_does_not_come_in_time_is_unanswered(transport: Transport) -> None:
    with serving(silence) as server, pytest.raises(Unanswered, match=r"no answer within 0\.5 s"):
        transport(get(server.url))


@pytest.mark.parametrize(
    "act",
    [
        reply(b'{"events_rec', length=100),
        drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc", b"", 0, 1),
        drip(b"HTTP/1.1 200 OK\r\nContent-Le", b"", 0, 1),
        drip(b"SSH-2.0-OpenSSH_9.6\r\n", b"", 0, 1),
        reply(b"not gzip at all", Content_Encoding="gzip"),
    ],
    ids=["length", "chunk", "header", "other protocol", "no gzip"],
)
def test_an_answer_that_is_not_whole_is_unanswered(transport: Transport, act: Act) -> None:
    with serving(act, hang_up) as server, pytest.raises(Unanswered):
        transport(get(server.url))


@pytest.mark.parametrize(
    ("first", "each"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"),
        (b"HTTP/1.1 200 OK\r\nX-", b"a"),
    ],
    ids=["body", "chunks", "until closed", "headers", "one header"],
)
def test_an_answer_that_only_drips_ends_with_the_total_time(transport: Transport, first: bytes, each: bytes) -> None:
    with serving(drip(first, each, 0.1)) as server:
        started = time.monotonic()
        with pytest.raises(Unanswered):
            transport(get(server.url))
        assert 0.8 < time.monotonic() - started < 15  # of the 20 s and more that the answer would take


def test_a_huge_answer_is_cut_off(transport: Transport) -> None:
    with (
        serving(reply(b"x" * (LARGEST_ANSWER + 200_000))) as server,
        pytest.raises(Unanswered, match="did not end"),
    ):
        Transport(total=30)(get(server.url))


def test_a_small_answer_that_unpacks_to_a_huge_one_is_cut_off(transport: Transport) -> None:
    packed = zlib.compress(b"\0" * (LARGEST_ANSWER * 8), 9)
    with serving(reply(packed, Content_Encoding="deflate")) as server, pytest.raises(Unanswered, match="did not end"):
        Transport(total=30)(get(server.url))


# --- TLS ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1 that signs itself, with its key, in one file."""
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    today = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    plain = serialization.NoEncryption()
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    )
    return path


def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_a_certificate_that_nobody_vouches_for_is_not_sent(transport: Transport, certificate: Path) -> None:
    with serving(reply(), context=tls(certificate)) as server:
        with pytest.raises(NotSent, match="TLS"):
            transport(Request("POST", server.url, json={"a": 1}))
        assert server.requests == []


def test_a_server_that_does_not_speak_tls_is_not_sent(transport: Transport) -> None:
    with serving(reply(), greeting=b"HTTP/1.1 400 Bad Request\r\n\r\n") as server, pytest.raises(NotSent, match="TLS"):
        transport(get(server.url.replace("http", "https")))


SPOILED = """
import sys
from capi_pipeline.delivery.http import Transport
from capi_pipeline.platforms.wire import Request
try:
    print(Transport()(Request("POST", sys.argv[1], json={})).response.status)
except Exception as error:
    print(type(error).__name__)
"""


def test_tls_that_breaks_after_the_request_is_unanswered(certificate: Path) -> None:
    def spoil(client: socket.socket, _: bytes) -> None:
        raw = socket.socket(fileno=client.detach())
        raw.sendall(b"\x17\x03\x03\x00\x20" + b"\x00" * 32)  # a record that nobody encrypted
        time.sleep(0.3)
        raw.close()

    with serving(reply(), spoil, context=tls(certificate)) as server:
        for expected in ("200", "Unanswered"):
            done = subprocess.run(
                [sys.executable, "-c", SPOILED, server.url], capture_output=True, text=True, timeout=30,
                env={"REQUESTS_CA_BUNDLE": str(certificate), "PYTHONPATH": ":".join(sys.path)},
            )  # fmt: skip
            assert done.stdout.strip() == expected, done.stderr
        assert len(server.requests) == 2


# --- what is sent, and what is kept ---------------------------------------------------------------------------------


def test_json_form_params_and_multipart_leave_as_documented(transport: Transport) -> None:
    with serving(*[reply()] * 4) as server:
        exchange = transport(Request("POST", server.url, {"X-A": "b"}, json={"é": [1.5, None]}))
        transport(Request("POST", server.url, form={"a": "b c&d", "é": "+"}))
        transport(Request("GET", f"{server.url}/p?x=1", params={"q": "a b&c=d+é", "e": ""}))
        file = {"filename": "events.csv", "content": b"a,b\n", "content_type": "text/csv"}
        transport(Request("POST", server.url, multipart={"file": file}))
    json, form, params, multipart = server.requests
    assert b"X-A: b" in json
    assert b"Content-Type: application/json" in json
    assert b"User-Agent: capi-pipeline" in json
    assert json.endswith('\r\n\r\n{"é":[1.5,null]}'.encode())
    assert exchange.bytes == len('{"é":[1.5,null]}'.encode())
    assert form.endswith(b"\r\n\r\na=b+c%26d&%C3%A9=%2B")
    assert b"Content-Type: application/x-www-form-urlencoded" in form
    assert params.startswith(b"GET /p?x=1&q=a+b%26c%3Dd%2B%C3%A9&e= HTTP/1.1\r\n")
    assert b'name="file"; filename="events.csv"\r\nContent-Type: text/csv\r\n\r\na,b\n' in multipart


def test_an_empty_json_body_is_still_a_body(transport: Transport) -> None:
    with serving(reply()) as server:
        transport(Request("POST", server.url, json=[]))
    assert server.requests[0].endswith(b"\r\n\r\n[]")


@pytest.mark.parametrize(
    "status", ["204 No Content", "400 Bad Request", "401 No", "404 No", "429 Slow", "500 Oh", "503 Oh"]
)
def test_every_status_is_an_answer(transport: Transport, status: str) -> None:
    with serving(reply(b"" if status[:3] == "204" else b"words", status, Retry_After="3")) as server:
        response = transport(get(server.url)).response
    assert response.status == int(status[:3])
    assert response.headers["retry-after"] == "3"


def test_a_body_in_any_encoding_arrives_as_bytes(transport: Transport) -> None:
    body = bytes(range(256))
    with serving(reply(body, Content_Type="application/json; charset=utf-16", X_Odd="\xff\xfe")) as server:
        response = transport(get(server.url)).response
    assert response.body == body
    assert response.json() == {}


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)]
)
def test_packed_answers_are_unpacked(transport: Transport, encoding: str, pack: Callable[[bytes], bytes]) -> None:
    body = b'{"events_received": 3}' * 5000
    with serving(reply(pack(body), Content_Encoding=encoding)) as server:
        assert transport(get(server.url)).response.body == body


def test_chunked_answers_and_answers_until_the_end_of_the_connection_are_read_whole(transport: Transport) -> None:
    chunked = drip(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", b"6\r\n world\r\n0\r\n\r\n", 0, 1
    )

    def closing(client: socket.socket, _: bytes) -> None:
        client.sendall(b"HTTP/1.0 200 OK\r\n\r\nhello world")
        client.close()

    with serving(chunked, closing) as server:
        assert transport(get(server.url)).response.body == b"hello world"
        assert transport(get(server.url)).response.body == b"hello world"


def test_redirects_are_followed_only_when_asked(transport: Transport) -> None:
    with serving(
        reply(b"", "302 Found", Location="/b"), reply(b"", "302 Found", Location="/b"), reply(b"end")
    ) as server:
        assert transport(Request("POST", server.url, json={})).response.status == 302
        assert len(server.requests) == 1
        exchange = transport(Request("GET", server.url, follow_redirects=True))
        assert (exchange.response.status, exchange.response.body) == (200, b"end")
        assert server.requests[-1].startswith(b"GET /b ")


SECRET = {"Authorization": "Bearer secret-1", "Access-Token": "secret-2"}


@pytest.mark.parametrize("status", ["307 Temporary Redirect", "308 Permanent Redirect"])
def test_a_post_is_repeated_with_its_body_on_its_own_host(transport: Transport, status: str) -> None:
    with serving(reply(b"", status, Location="/b?x=1"), reply(b"end")) as server:
        asked = Request("POST", server.url, SECRET, json={"a": 1}, follow_redirects=True)
        assert transport(asked).response.body == b"end"
    assert server.requests[1].startswith(b"POST /b?x=1 ")
    assert server.requests[1].endswith(b'\r\n\r\n{"a":1}')
    assert b"secret-2" in server.requests[1]


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other"])
def test_a_post_never_becomes_a_get(transport: Transport, status: str) -> None:
    with serving(reply(b"", status, Location="/b"), reply(b"end")) as server:
        asked = Request("POST", server.url, json={"a": 1}, follow_redirects=True)
        assert transport(asked).response.status == int(status[:3])
        assert len(server.requests) == 1


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])  # another name, and the same with another port
def test_a_post_goes_to_no_host_that_is_not_documented(transport: Transport, host: str) -> None:
    with serving(reply(b"end")) as other:
        elsewhere = f"http://{host}:{other.port}/b"
        with serving(reply(b"", "307 Temporary Redirect", Location=elsewhere)) as server:
            asked = Request("POST", server.url, json={"a": 1}, follow_redirects=True, redirect_hosts=("elsewhere",))
            assert transport(asked).response.status == 307
        assert other.requests == []


def test_a_post_goes_to_a_documented_host_without_credentials(transport: Transport) -> None:
    with serving(reply(b"end")) as other:
        elsewhere = f"http://localhost:{other.port}/b"
        with serving(reply(b"", "307 Temporary Redirect", Location=elsewhere)) as server:
            asked = Request(
                "POST", server.url, SECRET, json={"a": 1}, follow_redirects=True, redirect_hosts=("localhost",)
            )
            assert transport(asked).response.body == b"end"
        (repeated,) = other.requests
    assert repeated.startswith(b"POST /b ")
    assert repeated.endswith(b'\r\n\r\n{"a":1}')
    assert b"Content-Type: application/json" in repeated
    assert b"secret" not in repeated


def test_a_get_leaves_its_credentials_behind(transport: Transport) -> None:
    with serving(reply(b"end")) as other:
        elsewhere = f"http://localhost:{other.port}/b"
        with serving(reply(b"", "302 Found", Location=elsewhere)) as server:
            asked = Request("GET", server.url, SECRET, {"token": "secret-3"}, follow_redirects=True)
            assert transport(asked).response.body == b"end"
        assert b"secret" not in other.requests[0]


def test_more_redirects_than_five_are_not_followed(transport: Transport) -> None:
    again = reply(b"", "307 Temporary Redirect", Location="/again")
    with serving(*[again] * 5, reply(b"end")) as server:
        assert transport(Request("POST", server.url, json={}, follow_redirects=True)).response.body == b"end"
    with serving(*[again] * 6, reply(b"end")) as server:
        with pytest.raises(Unanswered):
            transport(Request("POST", server.url, json={}, follow_redirects=True))
        assert len(server.requests) == 6


def test_a_circle_of_redirects_ends(transport: Transport) -> None:
    with serving(*[reply(b"", "302 Found", Location="/again")] * 40) as server, pytest.raises(Unanswered):
        Transport(total=20)(Request("GET", server.url, follow_redirects=True))


def test_no_cookie_is_kept(transport: Transport) -> None:
    with serving(reply(Set_Cookie="session=1; Path=/"), reply()) as server:
        transport(get(server.url))
        transport(get(server.url))
    assert b"cookie" not in server.requests[1].lower()


NETRC = """
import sys
from capi_pipeline.delivery.http import Transport
from capi_pipeline.platforms.wire import Request
Transport()(Request("GET", sys.argv[1], follow_redirects=True))
"""


def test_credentials_of_a_netrc_file_never_leave(tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password something\n")
    netrc.chmod(0o600)
    with serving(reply(b"", "302 Found", Location="/b"), reply()) as server:
        subprocess.run(
            [sys.executable, "-c", NETRC, server.url], check=True, timeout=30,
            env={"NETRC": str(netrc), "PYTHONPATH": ":".join(sys.path)},
        )  # fmt: skip
    assert len(server.requests) == 2
    assert not any(b"authorization" in request.lower() for request in server.requests)


def test_connections_are_used_again(transport: Transport) -> None:
    with serving(*[reply()] * 5) as server:
        for _ in range(5):
            transport(get(server.url))
        assert server.connections == 1


def test_a_connection_that_the_server_closed_meanwhile_is_opened_anew(transport: Transport) -> None:
    def last(client: socket.socket, request: bytes) -> None:
        reply()(client, request)
        client.close()

    with serving(last, reply()) as server:
        transport(get(server.url))
        time.sleep(0.1)
        assert transport(get(server.url)).response.status == 200


# --- OAuth 1.0a -----------------------------------------------------------------------------------------------------

KEYS = OAuth1("X-CONSUMER-KEY", "X-CONSUMER-SECRET", "X-ACCESS-TOKEN", "X-ACCESS-TOKEN-SECRET")


def parts(header: str) -> dict[str, str]:
    assert header.startswith("OAuth ")
    return {name: value.strip('"') for name, _, value in (p.partition("=") for p in header[6:].split(", "))}


@pytest.mark.parametrize(
    ("nonce", "signature"),
    [
        ("golden0evt1001", "WRWboC89zDl27zyxlbIZrxJ08HI%3D"),
        ("golden0lead2001", "xctQ5T7HoZ9rfEeYyi8PEoHIov8%3D"),
        ("golden0evt3001", "fiRBM3SSEEYLwJvMldPyjeOLFcM%3D"),
    ],
)
def test_a_signature_is_the_golden_one_when_nonce_and_time_are_given(nonce: str, signature: str) -> None:
    url = "https://ads-api.x.com/12/measurement/conversions/o8z6j"
    assert parts(signed(KEYS, "POST", url, nonce, "1790870400")) == {
        "oauth_consumer_key": "X-CONSUMER-KEY", "oauth_nonce": nonce, "oauth_signature": signature,
        "oauth_signature_method": "HMAC-SHA1", "oauth_timestamp": "1790870400", "oauth_token": "X-ACCESS-TOKEN",
        "oauth_version": "1.0",
    }  # fmt: skip


def test_each_attempt_of_one_request_is_signed_anew(transport: Transport) -> None:
    with serving(reply(status="503 Busy"), reply()) as server:
        request = Request("POST", f"{server.url}/12/x", json={"conversions": []}, oauth1=KEYS)
        for _ in range(2):
            transport(request)
    seen = []
    for raw in server.requests:
        lines = raw.partition(b"\r\n\r\n")[0].decode().split("\r\n")
        (header,) = (line.partition(": ")[2] for line in lines if line.startswith("Authorization"))
        found = parts(header)
        again = signed(KEYS, "POST", f"{server.url}/12/x", found["oauth_nonce"], found["oauth_timestamp"])
        assert parts(again) == found
        assert abs(int(found["oauth_timestamp"]) - time.time()) < 60
        seen.append(found)
    assert seen[0]["oauth_nonce"] != seen[1]["oauth_nonce"]
    assert seen[0]["oauth_signature"] != seen[1]["oauth_signature"]


def test_the_keys_of_a_signature_stand_in_no_text_and_no_log(
    transport: Transport, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG"), serving(reply()) as server:
        request = Request("GET", server.url, oauth1=KEYS)
        transport(request)
    for secret in ("X-CONSUMER", "X-ACCESS"):
        assert secret not in repr(request) + caplog.text
