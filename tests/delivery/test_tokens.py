"""Access tokens by a rotating refresh token: renewed in time, once, and never lost."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr
from sqlalchemy import text

from capi_pipeline.delivery.http import Exchange, NotSent, Unanswered
from capi_pipeline.delivery.ledger import Ledger
from capi_pipeline.delivery.redaction import Redactor
from capi_pipeline.delivery.tokens import Tokens
from capi_pipeline.errors import AuthenticationError, DeliveryError
from capi_pipeline.platforms.wire import Request

from .support import DESTINATION, KEY, Clock, FakePlatform, Granting, answer
from .wire import Wire


class Login:
    """A token endpoint: each refresh token works until its successor has been used; then it is dead.

    `script`: answers that come before the endpoint's own."""

    def __init__(self, *script: Any, rotates: bool = True, strict: bool = False) -> None:
        self.script, self.rotates, self.strict = list(script), rotates, strict
        self.valid = ["refresh-0"]
        self.granted = 0
        self.forms: list[dict[str, str]] = []
        self.lock = threading.Lock()
        self.delay = 0.0

    def __call__(self, request: Request) -> Exchange:
        time.sleep(self.delay)
        with self.lock:
            form = dict(request.form or {})
            self.forms.append(form)
            if self.script:
                step = self.script.pop(0)
                if isinstance(step, Exception):
                    raise step
                if step is not None:
                    return step
            given = form["refresh_token"]
            if given not in self.valid:
                return answer(400, {"error": "invalid_grant", "error_description": "Bad Request"})
            self.granted += 1
            body = {"access_token": f"access-{self.granted}", "token_type": "Bearer", "expires_in": 3600}
            if self.rotates:
                self.valid = [f"refresh-{self.granted}"] if self.strict else [given, f"refresh-{self.granted}"]
                body["refresh_token"] = f"refresh-{self.granted}"
            return answer(200, body)


class Place:
    """One ledger; new `Tokens` on it stand for new processes."""

    def __init__(self, url: str) -> None:
        self.ledger = Ledger.open(url)
        self.clock = Clock()

    def tokens(
        self, login: Any, refresh: str = "refresh-0", key: bytes = KEY, redact: Redactor | None = None
    ) -> Tokens:
        platform = Granting(Granting.Config(refresh_token=SecretStr(refresh)))
        names = {"refresh_token": "FAKE_REFRESH_TOKEN", "client_secret": "FAKE_CLIENT_SECRET"}
        return Tokens(
            DESTINATION, platform, self.ledger.engine, login, lambda: key, redact or Redactor(), names, self.clock.now
        )

    def stored(self) -> dict[str, Any]:
        with self.ledger.engine.connect() as connection:
            return dict(connection.execute(text("select * from capi.tokens")).mappings().one())


@pytest.fixture
def place(ledger_url: str) -> Iterator[Place]:
    place = Place(ledger_url)
    yield place
    place.ledger.engine.dispose()


def test_a_configured_token_is_used_as_it_is_and_cannot_be_renewed(place: Place) -> None:
    platform = FakePlatform(FakePlatform.Config(access_token=SecretStr("static")))

    def send(_: Request) -> Exchange:
        raise AssertionError("nothing is to be asked")

    tokens = Tokens(DESTINATION, platform, place.ledger.engine, send, lambda: KEY, Redactor())
    assert tokens.current() == "static"
    assert tokens.renewed("static") is None


def test_the_first_token_is_asked_for_as_the_standard_says(place: Place) -> None:
    login = Login()
    assert place.tokens(login).current() == "access-1"
    assert login.forms == [
        {
            "grant_type": "refresh_token", "client_id": "client", "client_secret": "client-secret-value",
            "refresh_token": "refresh-0", "scope": "ads",
        }
    ]  # fmt: skip


def test_a_token_is_used_until_shortly_before_it_expires(place: Place) -> None:
    login = Login()
    tokens = place.tokens(login)
    for _ in range(10):
        assert tokens.current() == "access-1"
    place.clock.forward(3600 - 301)
    assert tokens.current() == "access-1"
    place.clock.forward(2)
    assert tokens.current() == "access-2"
    assert [form["refresh_token"] for form in login.forms] == ["refresh-0", "refresh-1"]


@pytest.mark.parametrize("given", [None, "", "3600", 3600.5, 0, -1, "soon", [1], 1e300, "NaN", True])
def test_an_odd_lifetime_is_no_reason_to_fail(place: Place, given: Any) -> None:
    login = Login(answer(200, {"access_token": "a", "token_type": "Bearer", "expires_in": given}))
    assert place.tokens(login).current() == "a"


def test_a_later_process_uses_the_stored_token(place: Place) -> None:
    login = Login()
    place.tokens(login).current()
    assert place.tokens(login).current() == "access-1"
    assert len(login.forms) == 1


def test_a_refused_token_is_renewed_once_per_run(place: Place) -> None:
    login = Login()
    tokens = place.tokens(login)
    first = tokens.current()
    assert tokens.renewed(first, worked=True) == "access-2"
    assert tokens.renewed(first, worked=True) == "access-2"  # a slower thread gets the new one without asking again
    assert tokens.renewed("access-2", worked=True) is None
    assert len(login.forms) == 2


def test_a_token_that_was_granted_just_now_is_not_to_blame_and_is_not_kept(place: Place) -> None:
    """The account is wrong, or a right is missing: each run spends one request on it."""
    login = Login()
    for run in (1, 2):
        tokens = place.tokens(login)
        assert tokens.renewed(tokens.current()) is None
        assert len(login.forms) == run
        assert place.stored()["access_token"] is None
    assert place.stored()["refresh_token"] is not None


def test_a_stored_token_that_is_refused_is_renewed_once(place: Place) -> None:
    login = Login()
    place.tokens(login).current()
    tokens = place.tokens(login)
    assert tokens.renewed(tokens.current()) == "access-2"
    assert tokens.renewed("access-2") is None
    assert place.stored()["access_token"] is None
    assert len(login.forms) == 2


def test_a_token_that_another_process_renewed_meanwhile_is_taken_over(place: Place) -> None:
    login = Login()
    ours, theirs = place.tokens(login), place.tokens(login)
    assert ours.current() == theirs.current() == "access-1"
    theirs.renewed("access-1", worked=True)
    assert ours.renewed("access-1", worked=True) == "access-2"
    assert len(login.forms) == 2


def test_a_rotated_token_is_stored_before_it_is_used(place: Place) -> None:
    """The process dies right after the answer: the next one goes on with the new token, though the old one is dead."""
    login = Login(strict=True)
    place.tokens(login).current()
    place.clock.forward(7200)
    assert place.tokens(login).current() == "access-2"
    assert [form["refresh_token"] for form in login.forms] == ["refresh-0", "refresh-1"]


def kill_sessions(place: Place) -> None:
    with place.ledger.engine.connect() as connection:
        connection.execute(
            text(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
                "where datname = current_database() and pid <> pg_backend_pid()"
            )
        )


@pytest.mark.parametrize("before", [0, 1])
def test_a_rotated_token_is_stored_although_the_database_session_died_during_the_request(
    place: Place, before: int
) -> None:
    login = Login(strict=True)

    def send(request: Request) -> Exchange:
        exchange = login(request)
        kill_sessions(place)
        return exchange

    for number in range(before):
        assert place.tokens(login).current() == f"access-{number + 1}"
        place.clock.forward(7200)
    assert place.tokens(send).current() == f"access-{before + 1}"
    place.clock.forward(7200)
    assert place.tokens(login).current() == f"access-{before + 2}"  # every earlier refresh token is dead by now


def test_a_rotated_token_is_stored_although_the_database_was_away_for_a_while(place: Place, ledger_url: str) -> None:
    login = Login(strict=True)

    def send(request: Request) -> Exchange:
        exchange = login(request)
        wire.cut()
        threading.Timer(0.7, wire.restore).start()
        return exchange

    with Wire(ledger_url) as wire:
        assert Place(wire.url).tokens(send).current() == "access-1"
    place.clock.forward(7200)
    assert place.tokens(login).current() == "access-2"


def test_when_the_lock_is_lost_and_another_process_refreshes_meanwhile_no_token_is_lost(place: Place) -> None:
    """Two rotations of one token: which of the two goes on is for the platform to say, so both are kept."""
    login = Login()

    def send(request: Request) -> Exchange:
        exchange = login(request)
        kill_sessions(place)
        assert place.tokens(login).current() == "access-2"
        return exchange

    assert place.tokens(send).current() == "access-1"
    for survivor in ("refresh-1", "refresh-2"):
        login.valid = [survivor]
        login.rotates = False
        place.clock.forward(7200)
        assert place.tokens(login).current().startswith("access-")
        with place.ledger.engine.begin() as connection:  # the row as the two rotations left it
            stored = [Fernet(KEY).encrypt(t.encode()) for t in ("refresh-2", "refresh-1")]
            query = "update capi.tokens set refresh_token = :a, previous_refresh_token = :b"
            connection.execute(text(query), {"a": stored[0], "b": stored[1]})


def test_a_token_of_short_life_is_not_renewed_for_every_request(place: Place) -> None:
    login = Login(answer(200, {"access_token": "short", "token_type": "Bearer", "expires_in": 240}))
    tokens = place.tokens(login)
    for _ in range(5):
        assert tokens.current() == "short"
    assert len(login.forms) == 1
    place.clock.forward(121)
    assert tokens.current() == "access-1"


def test_an_answer_that_got_lost_is_made_good_with_the_token_before(place: Place) -> None:
    """The platform rotated, the answer never came, and it still takes the old token until the new one is used."""
    login = Login(None, Unanswered("no answer within 30 s"))
    tokens = place.tokens(login)
    tokens.current()
    place.clock.forward(7200)
    with pytest.raises(DeliveryError, match="no answer"):
        tokens.current()
    assert tokens.current() == "access-2"


def test_when_the_newest_token_is_dead_the_one_before_is_tried(place: Place) -> None:
    login = Login()
    tokens = place.tokens(login)
    tokens.current()
    login.valid = ["refresh-0"]  # the platform forgot the successor
    place.clock.forward(7200)
    assert tokens.current() == "access-2"
    assert [form["refresh_token"] for form in login.forms[1:]] == ["refresh-1", "refresh-0"]


def test_a_new_token_in_the_environment_replaces_the_stored_one(place: Place) -> None:
    login = Login()
    place.tokens(login).current()
    login.valid = ["given-by-a-person"]
    assert place.tokens(login, "given-by-a-person").current() == "access-2"
    place.clock.forward(7200)
    login.rotates = False
    login.valid.append("refresh-2")
    assert place.tokens(login, "given-by-a-person").current() == "access-3"
    assert login.forms[-1]["refresh_token"] == "refresh-2"


def test_without_rotation_the_configured_token_goes_on(place: Place) -> None:
    login = Login(rotates=False)
    tokens = place.tokens(login)
    for hours in range(3):
        assert tokens.current() == f"access-{hours + 1}"
        place.clock.forward(7200)
    assert {form["refresh_token"] for form in login.forms} == {"refresh-0"}


def test_threads_refresh_once(place: Place) -> None:
    login = Login()
    login.delay = 0.05
    tokens, found = place.tokens(login), []
    threads = [threading.Thread(target=lambda: found.append(tokens.current())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["access-1"] * 8
    assert len(login.forms) == 1


def test_processes_refresh_once(place: Place) -> None:
    login = Login(strict=True)
    login.delay = 0.1
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(place.tokens(login).current())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["access-1"] * 6
    assert len(login.forms) == 1


def test_threads_whose_token_is_refused_together_renew_it_once(place: Place) -> None:
    login = Login()
    tokens = place.tokens(login)
    first = tokens.current()
    login.delay = 0.05
    found: list[str | None] = []
    threads = [threading.Thread(target=lambda: found.append(tokens.renewed(first, worked=True))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["access-2"] * 8
    assert len(login.forms) == 2


def test_a_dead_grant_names_the_variables_to_renew(place: Place) -> None:
    login = Login()
    login.valid = []
    with pytest.raises(AuthenticationError, match="invalid_grant") as caught:
        place.tokens(login).current()
    assert "FAKE_CLIENT_SECRET, FAKE_REFRESH_TOKEN" in str(caught.value)
    assert "refresh-0" not in str(caught.value)


@pytest.mark.parametrize("error", ["invalid_client", "unauthorized_client", "interaction_required", "no_such_error"])
def test_any_other_refusal_is_for_a_person_and_shows_no_secret(place: Place, error: str) -> None:
    words = f"AADSTS7000215: client-secret-value of jane@example.com with {'refresh-0'} is wrong"
    login = Login(answer(401, {"error": error, "error_description": words}))
    with pytest.raises(AuthenticationError, match=error) as caught:
        place.tokens(login).current()
    for hidden in ("client-secret-value", "jane@", "refresh-0"):
        assert hidden not in str(caught.value)


@pytest.mark.parametrize(
    "step",
    [
        answer(500), answer(503, b"<html>"), answer(429), NotSent("no connection"), Unanswered("no answer"),
        answer(200, b"<html>hello</html>"), answer(200, b""), answer(200, {}), answer(200, {"access_token": 5}),
        answer(200, {"access_token": ""}), answer(200, {"access_token": None}), answer(200, [1, 2]), answer(200, b'"text"'),
        answer(302), answer(404, b"not found"), answer(200, b"\xff\xfe"), answer(200, b"[" * 100_000),
        answer(400, {"error": "temporarily_unavailable"}), answer(200, {"error": {"code": 5}}),
        answer(200, {"access_token": "a\nb"}), answer(200, {"access_token": "ä"}), answer(200, {"access_token": "a b"}),
        answer(200, {"access_token": "a", "refresh_token": {"value": "r"}}),
        answer(200, {"access_token": "a", "refresh_token": 5}),
        answer(200, {"access_token": "a", "refresh_token": ""}), answer(200, {"access_token": "a", "error": None}),
        answer(200, b'{"access_token": "a", "access_token": "b"}'), answer(201, {"access_token": "a"}),
    ],
    ids=lambda step: repr(step)[:60] if isinstance(step, Exception) else f"{step.response.status} {step.response.body[:20]!r}",
)  # fmt: skip
def test_a_token_endpoint_in_trouble_is_for_a_rerun_and_loses_nothing(place: Place, step: Any) -> None:
    login = Login(step)
    tokens = place.tokens(login)
    with pytest.raises(DeliveryError) as caught:
        tokens.current()
    assert not isinstance(caught.value, AuthenticationError)
    assert tokens.current().startswith("access-")


def test_no_plain_token_is_in_the_database(place: Place) -> None:
    login = Login()
    tokens = place.tokens(login)
    tokens.current()
    place.clock.forward(7200)
    tokens.current()
    everything = b"".join(
        bytes(v) if isinstance(v, bytes | memoryview) else str(v).encode() for v in place.stored().values()
    )
    for plain in (b"refresh-", b"access-", b"client-secret", KEY):
        assert plain not in everything
    stored = place.stored()
    assert stored["configured_digest"] == hashlib.sha256(b"refresh-0").hexdigest()
    assert Fernet(KEY).decrypt(bytes(stored["refresh_token"])) == b"refresh-2"
    assert Fernet(KEY).decrypt(bytes(stored["previous_refresh_token"])) == b"refresh-1"


def test_with_a_changed_key_the_configured_token_is_used_again(place: Place) -> None:
    login = Login()
    place.tokens(login).current()
    login.valid = ["refresh-0"]
    other = Fernet.generate_key()
    assert place.tokens(login, key=other).current() == "access-2"
    assert login.forms[-1]["refresh_token"] == "refresh-0"
    assert Fernet(other).decrypt(bytes(place.stored()["access_token"])) == b"access-2"


def test_granted_tokens_are_hidden_from_words_from_then_on(place: Place) -> None:
    redact = Redactor()
    place.tokens(Login(), redact=redact).current()
    assert "access-1" not in redact("bad token access-1")
    assert "refresh-0" not in redact("bad token refresh-0")
    place.clock.forward(7200)
    later = Redactor()
    login = Login()
    login.valid = ["refresh-1"]
    place.tokens(login, redact=later).current()
    assert "refresh-1" not in later(json.dumps({"used": "refresh-1"}))


def test_a_rotated_token_is_hidden_as_soon_as_it_is_known(place: Place) -> None:
    redact = Redactor()
    place.tokens(Login(), redact=redact).current()
    assert "refresh-1" not in redact("bad token refresh-1")


def test_a_clock_that_jumps_does_not_loop(place: Place) -> None:
    login = Login(answer(200, {"access_token": "short", "token_type": "Bearer", "expires_in": 60}))
    tokens = place.tokens(login)
    assert tokens.current() == "short"
    place.clock.start -= timedelta(days=1)
    assert tokens.current()
    assert len(login.forms) <= 3
