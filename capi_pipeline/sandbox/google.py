"""What the sandbox's Google APIs share: one OAuth client, token endpoints, and errors as google.rpc.Status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from capi_pipeline.sandbox import accounts
from capi_pipeline.sandbox.oauth import TokenEndpoint
from capi_pipeline.sandbox.platform import Call, Refused, Reply, Token

ENVIRONMENT: Final = {
    "GOOGLE_CLIENT_ID": accounts.GOOGLE_CLIENT_ID,
    "GOOGLE_CLIENT_SECRET": accounts.GOOGLE_CLIENT_SECRET,
    "GOOGLE_REFRESH_TOKEN": accounts.GOOGLE_REFRESH_TOKEN,
}
# google.rpc.Code by HTTP status.
NAMES: Final = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 409: "ABORTED",
    429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 502: "UNAVAILABLE", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED",
}  # fmt: skip


def token_endpoint(scope: str) -> TokenEndpoint:
    """oauth2.googleapis.com/token for the last word of a scope."""
    return TokenEndpoint(
        accounts.GOOGLE_CLIENT_ID, accounts.GOOGLE_CLIENT_SECRET, accounts.GOOGLE_REFRESH_TOKEN,
        seconds=3599, scope=f"https://www.googleapis.com/auth/{scope}", rotates=False, error=_token_error,
    )  # fmt: skip


def _token_error(name: str, description: str, status: int) -> Reply:
    return Reply({"error": name, "error_description": description}, status)


def error(status: int, message: str, details: Sequence[Mapping[str, Any]] = (), **more: object) -> Reply:
    """google.rpc.Status; `more`: further members of `error`."""
    body: dict[str, Any] = {"code": status, "message": message, "status": NAMES.get(status, "UNKNOWN"), **more}
    if details:
        body["details"] = list(details)
    return Reply({"error": body}, status)


def require_token(tokens: TokenEndpoint, call: Call, refusal: Reply | None = None) -> None:
    """Raises Refused with a 401 (`refusal`, where an API has one of its own) unless the access token is good."""
    if tokens.check(call) is not Token.GOOD:
        raise Refused(refusal or error(401, "Request had invalid authentication credentials."))
