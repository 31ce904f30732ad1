"""Access tokens: configured ones as they are, OAuth ones refreshed in time, with rotation that survives a crash.

A new refresh token is stored, encrypted, before the access token that came with it is used, and the one before it is
kept. Refreshing is serialised per destination by a row lock, so that two processes never spend one token twice; where
the lock is lost while the platform answers, the tokens of both processes are kept.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from capi_pipeline.delivery.database import answering, persistently
from capi_pipeline.delivery.http import NotSent, Send, Unanswered
from capi_pipeline.delivery.redaction import Redactor
from capi_pipeline.delivery.tables import SCHEMA
from capi_pipeline.errors import AuthenticationError, DeliveryError
from capi_pipeline.platforms.auth import Grant
from capi_pipeline.platforms.base import Platform
from capi_pipeline.platforms.wire import Request

EARLY = timedelta(minutes=5)  # before its end a token is renewed (or at half its life, if that is shorter)
_TOKEN = re.compile("[!-~]+")  # visible ASCII: what a header can carry (RFC 6749, appendix A)
TRANSIENT = ("temporarily_unavailable", "server_error", "slow_down")  # errors that pass by themselves


class Tokens:
    """The access token of one destination. `secrets`: account key -> environment variable, for messages."""

    def __init__(
        self,
        destination: str,
        platform: Platform,
        engine: Engine,
        send: Send,
        key: Callable[[], bytes],
        redact: Redactor,
        secrets: Mapping[str, str] | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._destination, self._platform, self._engine = destination, platform, engine
        self._send, self._redact, self._secrets, self._now = send, redact, dict(secrets or {}), now
        self._fernet_key = key
        self._mutex = threading.Lock()
        self._current = platform.token()
        self._expires: datetime | None = None if self._current else datetime.min.replace(tzinfo=UTC)
        self._refreshed = False
        self._granted = ""  # the token that was granted in this run

    def current(self) -> str:
        """A token that is valid now. Raises AuthenticationError or DeliveryError."""
        if self._platform.oauth is None or self._expires is None or self._now() < self._expires:
            return self._current
        with self._mutex:
            return self._obtain(refused=None)

    def renewed(self, refused: str, worked: bool = False) -> str | None:
        """Another token than the one that the platform just refused; None when there is none to be had (again). `worked`:
        the platform took a token in this run. Else one that was granted in this run is not to blame."""
        if self._platform.oauth is None:
            return None
        with self._mutex:
            if self._current != refused:
                return self._current  # another thread was faster
            if self._refreshed or (self._granted == refused and not worked):
                self._forget()
                return None  # once per run: a fresh token that is refused is not a token problem
            self._refreshed = True
            return self._obtain(refused)

    def _obtain(self, refused: str | None) -> str:
        if self._current and self._current != refused and self._expires and self._now() < self._expires:
            return self._current
        fernet, grant = Fernet(self._fernet_key()), self._platform.grant()
        digest = hashlib.sha256(grant.refresh_token.encode()).hexdigest()
        with answering(f"the tokens of `{self._destination}`"), self._engine.connect() as connection:
            self._remember(connection, digest, fernet.encrypt(grant.refresh_token.encode()))
            stored = self._locked(connection)
            access = _decrypted(fernet, stored["access_token"])
            if access and access != refused and stored["expires_at"] and self._now() < stored["expires_at"]:
                connection.commit()
                return self._use(access, stored["expires_at"])
            kept = _decrypted(fernet, stored["refresh_token"])
            if kept is None:  # the key changed: fall back to what the environment says
                kept = grant.refresh_token
            candidates = dict.fromkeys(t for t in (kept, _decrypted(fernet, stored["previous_refresh_token"])) if t)
            for candidate in candidates:
                answer = self._ask(Grant(grant.client_id, grant.client_secret, candidate))
                if answer is not None:
                    break
            else:
                raise self._dead("the platform no longer accepts the refresh token (invalid_grant)")
            expires = self._now() + _usable(answer.get("expires_in"))
            self._keep(connection, fernet, candidate, answer, expires, stored["refresh_token"])
            self._granted = answer["access_token"]
            return self._use(answer["access_token"], expires)

    def _keep(
        self,
        connection: Connection,
        fernet: Fernet,
        used: str,
        answer: dict[str, Any],
        expires: datetime,
        before: bytes,
    ) -> None:
        """Store the answer, on new connections if this one broke meanwhile: the platform may take no older token."""
        new = {
            "new": fernet.encrypt(answer.get("refresh_token", used).encode()),
            "used": fernet.encrypt(used.encode()),
            "access": fernet.encrypt(answer["access_token"].encode()),
            "expires": expires,
        }
        try:
            self._store(connection, new)
        except DBAPIError:
            connection.invalidate()
            persistently(lambda: self._store_anew(new, before))

    def _store_anew(self, new: dict[str, Any], before: bytes) -> None:
        """The row lock was lost. Where another process has refreshed meanwhile, its token goes on and ours is kept too."""
        with self._engine.connect() as connection:
            now = self._locked(connection)
            if bytes(now["refresh_token"]) not in (bytes(before), new["new"]):
                query = f"update {SCHEMA}.tokens set previous_refresh_token = :new where destination = :destination"
                connection.execute(text(query), {"new": new["new"], "destination": self._destination})
                connection.commit()
            else:
                self._store(connection, new)

    def _forget(self) -> None:
        """Keep a refused access token from the next run, which would spend a request on it."""
        query = f"update {SCHEMA}.tokens set access_token = null, expires_at = null where destination = :destination"
        with suppress(DBAPIError), self._engine.begin() as connection:
            connection.execute(text(query), {"destination": self._destination})

    def _use(self, token: str, expires: datetime) -> str:
        self._redact.add(token)
        self._current, self._expires = token, expires
        return token

    def _remember(self, connection: Connection, digest: str, encrypted: bytes) -> None:
        """This destination's row; made new when the environment holds another refresh token than before."""
        connection.execute(
            text(
                f"""insert into {SCHEMA}.tokens as t (destination, configured_digest, refresh_token, updated_at)
                    values (:destination, :digest, :token, clock_timestamp())
                    on conflict (destination) do update set configured_digest = excluded.configured_digest,
                        refresh_token = excluded.refresh_token, previous_refresh_token = null, access_token = null,
                        expires_at = null, updated_at = excluded.updated_at
                    where t.configured_digest <> excluded.configured_digest"""
            ),
            {"destination": self._destination, "digest": digest, "token": encrypted},
        )
        connection.commit()  # there from now on, whatever becomes of this session: what is stored later needs the row

    def _locked(self, connection: Connection) -> Any:
        query = f"select * from {SCHEMA}.tokens where destination = :destination for update"
        return connection.execute(text(query), {"destination": self._destination}).mappings().one()

    def _store(self, connection: Connection, new: dict[str, Any]) -> None:
        connection.execute(
            text(
                f"""update {SCHEMA}.tokens set refresh_token = :new, previous_refresh_token = :used,
                    access_token = :access, expires_at = :expires, updated_at = clock_timestamp()
                    where destination = :destination"""
            ),
            {**new, "destination": self._destination},
        )
        connection.commit()

    def _ask(self, grant: Grant) -> dict[str, Any] | None:
        """The platform's answer to a refresh; None when the refresh token is dead."""
        oauth = self._platform.oauth
        assert oauth is not None
        self._redact.add(grant.refresh_token, grant.client_secret or "")
        form = {"grant_type": "refresh_token", "client_id": grant.client_id, "refresh_token": grant.refresh_token}
        if grant.client_secret:
            form["client_secret"] = grant.client_secret
        if oauth.scope:
            form["scope"] = oauth.scope
        request = Request("POST", self._platform.url(oauth.path, oauth.host), form=form)
        try:
            response = self._send(request).response
        except (NotSent, Unanswered) as error:
            raise self._unreachable(str(error)) from None
        if response.status >= 500 or response.status == 429:
            raise self._unreachable(f"HTTP {response.status}")
        answer = response.json()
        refusal = answer.get("error")
        if refusal == "invalid_grant":
            return None
        if isinstance(refusal, str) and refusal not in TRANSIENT:
            words = self._redact(f"{refusal}: {answer.get('error_description') or ''}")
            raise self._dead(f"the token endpoint refuses: {words}")
        granted = [answer.get("access_token"), answer.get("refresh_token", "unchanged")]
        usable = all(isinstance(token, str) and _TOKEN.fullmatch(token) for token in granted)
        if response.status != 200 or "error" in answer or not usable:
            raise self._unreachable(f"HTTP {response.status} without an access token")
        self._redact.add(answer["access_token"], answer.get("refresh_token", ""))
        return answer

    def keys(self) -> str:
        """The environment variables of this destination's secrets, for a message."""
        return ", ".join(sorted(set(self._secrets.values()))) or "the account's secrets"

    def _dead(self, what: str) -> AuthenticationError:
        return AuthenticationError(
            f"`{self._destination}` ({self._platform.title}) cannot get an access token: {what}.",
            f"Give the consent again and renew {self.keys()}. Nothing further was sent; rerun the partition afterwards.",
        )

    def _unreachable(self, what: str) -> DeliveryError:
        return DeliveryError(
            f"`{self._destination}` ({self._platform.title}) did not give an access token: {what}.",
            "Nothing was sent. A rerun tries again.",
        )


def _usable(seconds: object) -> timedelta:
    """For how long a token is used: `expires_in` (an hour where it says nothing usable) but for the last minutes."""
    try:
        given = float(str(seconds))
    except ValueError:
        given = 0.0
    lifetime = timedelta(seconds=given if 0 < given < 1e8 else 3600.0)
    return lifetime - min(EARLY, lifetime / 2)


def _decrypted(fernet: Fernet, value: bytes | None) -> str | None:
    try:
        return fernet.decrypt(bytes(value)).decode() if value else None
    except InvalidToken:
        return None
