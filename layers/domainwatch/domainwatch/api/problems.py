"""Every error of the API, as RFC 9457 `application/problem+json`."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from domainwatch.errors import NameRefused

CONTENT_TYPE = "application/problem+json"
_TYPE = "urn:domainwatch:problem:"


class Problem(Exception):
    """An answer other than success. `reason` is a stable word, also the end of `type`; `members` are further members of
    the body.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.reason = reason
        self.detail = detail
        self.headers = dict(headers or {})
        self.members = members

    def body(self) -> dict[str, Any]:
        """{"type", "title", "status", "detail", "reason", …}."""
        return {
            "type": _TYPE + self.reason,
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "reason": self.reason,
            **{key: value for key, value in self.members.items() if value is not None},
        }


def bad_request(reason: str, detail: str, **members: Any) -> Problem:
    """400: asking the same again will not help."""
    return Problem(400, reason, detail, **members)


def refused_name(refusal: NameRefused) -> Problem:
    """400 for what is no registrable name, with its reason and, where there is one, a suggestion."""
    return Problem(400, refusal.reason, str(refusal), suggestion=refusal.suggestion)


def not_watched(name: str) -> Problem:
    """404 for a name that is not on the watch list."""
    return Problem(404, "not_watched", f"{name} is not watched", suggestion=f"PUT /v1/domains/{name} watches it")


def unavailable(detail: str, *, reason: str = "try_later", retry_after_s: int = 5) -> Problem:
    """503: something we need is busy or away."""
    return Problem(503, reason, detail, headers={"retry-after": str(retry_after_s)})
