"""What can go wrong, named for what the caller should do about it."""


class DomainwatchError(Exception):
    """The root of every error of ours."""


class NameRefused(DomainwatchError):
    """The text is no registrable domain name; `reason` is a stable word, `suggestion` a name to use instead."""

    def __init__(self, reason: str, message: str, suggestion: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.suggestion = suggestion


class TryLater(DomainwatchError):
    """The far side is busy or away; trying again may help. `reason` is a stable word for findings."""

    def __init__(self, message: str, *, reason: str = "try_later") -> None:
        super().__init__(message)
        self.reason = reason


class Unreachable(TryLater):
    """No connection, no route, no address, a broken handshake."""

    def __init__(self, message: str, *, reason: str = "unreachable") -> None:
        super().__init__(message, reason=reason)


class DeadlinePassed(TryLater):
    """The far side was slower than the whole call's deadline, dripped bytes included."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="timeout")


class Malformed(TryLater):
    """The far side answered with something its protocol does not allow."""

    def __init__(self, message: str, *, reason: str = "malformed") -> None:
        super().__init__(message, reason=reason)


class TooLarge(TryLater):
    """The far side sent more bytes than we are ready to read."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="too_large")


class RateLimited(TryLater):
    """The far side asked us to slow down; `retry_after_s` is its own word for how long, if it gave one."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message, reason="rate_limited")
        self.retry_after_s = retry_after_s


class AddressForbidden(DomainwatchError):
    """The address is private or special and `AllowedPrivateNetworks` does not list it."""


class BadMessage(DomainwatchError):
    """A message, request or document of ours is malformed; retrying will not help."""


class BadSettings(DomainwatchError):
    """A setting is missing or makes no sense; the deployment needs correcting."""


class Conflict(DomainwatchError):
    """Somebody else changed the item first; read it again and decide anew."""
