"""OAuth 2.0 token endpoints (RFC 6749, section 6: refreshing an access token), with and without rotation."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qs

from capi_pipeline.sandbox.platform import Call, Refused, Reply, Token


@dataclass(frozen=True, slots=True)
class TokenEndpoint:
    """Exchanges a refresh token for an access token that lives `seconds`.

    With `rotates`, each answer brings a new refresh token. The one it replaces stays valid until the new one has
    been used, for one more exchange, so that a crash between the answer and the storing of it can be survived
    exactly once; with the setting `strict_rotation` it dies at once.
    """

    client_id: str
    client_secret: str
    refresh_token: str
    seconds: int
    scope: str
    rotates: bool
    error: Callable[[str, str, int], Reply]

    def answer(self, call: Call) -> Reply:
        form = {name: values[0] for name, values in parse_qs(call.body.decode("utf-8", "replace")).items()}
        if form.get("grant_type") != "refresh_token":
            raise Refused(self.error("unsupported_grant_type", "Only refresh_token is supported.", 400))
        if (form.get("client_id"), form.get("client_secret")) != (self.client_id, self.client_secret):
            raise Refused(self.error("invalid_client", "The OAuth client was not found.", 401))
        if not form.get("refresh_token"):
            raise Refused(self.error("invalid_request", "Missing required parameter: refresh_token", 400))
        if call.token_fault == "revoked":
            raise Refused(self.error("invalid_grant", "Token has been expired or revoked.", 400))
        return self._exchange(call, form["refresh_token"])

    def _exchange(self, call: Call, presented: str) -> Reply:
        store = call.store
        if not store.has_tokens(call.platform, "refresh"):
            store.add_token(call.platform, "refresh", self.refresh_token, call.now, None)
        current = store.token(call.platform, "refresh", presented)
        if current is None or current["state"] == "dead":
            raise Refused(self.error("invalid_grant", "Token has been expired or revoked.", 400))
        access = secrets.token_urlsafe(32)
        seconds = call.settings.access_token_seconds or self.seconds
        store.add_token(call.platform, "access", access, call.now, seconds)
        answer = {"access_token": access, "expires_in": int(seconds), "scope": self.scope, "token_type": "Bearer"}
        if self.rotates:
            rotated = secrets.token_urlsafe(32)
            store.add_token(call.platform, "refresh", rotated, call.now, None, parent=current["serial"])
            first_use = current["state"] == "fresh"
            if first_use and current["parent"] is not None:
                store.set_token_state(current["parent"], "dead")
            store.set_token_state(
                current["serial"], "grace" if first_use and not call.settings.strict_rotation else "dead"
            )
            answer["refresh_token"] = rotated
        return Reply(answer, headers={"Cache-Control": "no-store"})

    def check(self, call: Call) -> Token:
        """State of the access token in the Authorization header."""
        presented = call.bearer()
        if not presented:
            return Token.MISSING
        token = call.store.token(call.platform, "access", presented)
        if token is None:
            return Token.WRONG
        if call.token_fault == "revoked":
            return Token.REVOKED
        expired = token["expires_at"] <= call.now.timestamp()
        return Token.EXPIRED if expired or token["serial"] <= call.expired_up_to else Token.GOOD
