"""Fakes of the network ports. They keep to the same contracts as the real adapters: `tests/contract` runs one suite on
both.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

from domainwatch.errors import DomainwatchError, Malformed, TooLarge, TryLater
from domainwatch.names import Name
from domainwatch.ports import Delegation, DnsAnswer, HttpReply, WhoisReply


@dataclass
class FakeDns:
    """Answers from `known` (name → delegation or whole answer), otherwise `otherwise`; `hosts` for address look-ups,
    where an exception is raised. `batches` keeps what was asked.
    """

    known: dict[str, Delegation | DnsAnswer] = field(default_factory=dict)
    otherwise: Delegation = Delegation.DENIED
    hosts: dict[str, tuple[str, ...] | TryLater] = field(default_factory=dict)
    server: str = "192.0.2.53:53"
    batches: list[tuple[Name, ...]] = field(default_factory=list)

    def delegate(self, name: str, *nameservers: str) -> None:
        self.known[name] = DnsAnswer(
            delegation=Delegation.DELEGATED, server=self.server, nameservers=tuple(sorted(nameservers)), duration_ms=1
        )

    def delegations(self, names: Sequence[Name], *, timeout_s: float) -> Mapping[Name, DnsAnswer]:
        self.batches.append(tuple(names))
        return {name: self._answer(self.known.get(name.text, self.otherwise)) for name in names}

    def addresses(self, host: str, *, timeout_s: float) -> tuple[str, ...]:
        found = self.hosts.get(host, ())
        if isinstance(found, TryLater):
            raise found
        return found

    def _answer(self, given: Delegation | DnsAnswer) -> DnsAnswer:
        if isinstance(given, DnsAnswer):
            return given
        server = "" if given is Delegation.NO_SERVERS else self.server
        return DnsAnswer(delegation=given, server=server, duration_ms=1)


@dataclass(frozen=True, kw_only=True)
class Request:
    """One fetch as the fake saw it."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None


@dataclass
class FakeHttp:
    """Replies by URL, exact or by the longest prefix that ends in `*`: an `HttpReply`, an error to raise, a function
    of the request, or a list of these, used one after the other (the last one stays). What has no reply is
    `Unreachable`-like: `unknown` is raised. `requests` keeps what was asked.
    """

    replies: dict[str, "Scripted"] = field(default_factory=dict)
    unknown: DomainwatchError = field(default_factory=lambda: TryLater("nobody there", reason="unreachable"))
    requests: list[Request] = field(default_factory=list)

    def on(  # the shape of a reply, spelled once
        self, url: str, status: int = 200, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer this URL (or `prefix*`) so from now on."""
        self.replies[url] = HttpReply(status=status, headers=dict(headers or {}), body=body, url=url)

    def fetch(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_s: float,
        max_bytes: int,
        redirects: int = 0,
        truncate: bool = False,
    ) -> HttpReply:
        hops = 0
        while True:
            request = Request(method=method, url=url, headers=dict(headers or {}), body=body)
            self.requests.append(request)
            reply = self._reply(request)
            lowered = {name.lower(): value for name, value in reply.headers.items()}
            location = lowered.get("location")
            if reply.status not in {301, 302, 303, 307, 308} or not location or redirects == 0:
                break
            hops += 1
            if hops > redirects:
                raise Malformed("too many redirects", reason="too_many_redirects")
            previous, url = url, urljoin(url, location)
            if urlsplit(previous).scheme == "https" and urlsplit(url).scheme != "https":
                raise Malformed("a redirect from https", reason="insecure_redirect")
        content = b"" if method == "HEAD" else reply.body
        if len(content) > max_bytes:
            if not truncate:
                raise TooLarge(f"a body of more than {max_bytes} bytes")
            content = content[:max_bytes]
        return HttpReply(status=reply.status, headers=lowered, body=content, url=url, duration_ms=1)

    def _reply(self, request: Request) -> HttpReply:
        scripted = self.replies.get(request.url)
        if scripted is None:
            prefixes = [key for key in self.replies if key.endswith("*") and request.url.startswith(key[:-1])]
            if not prefixes:
                raise self.unknown
            scripted = self.replies[max(prefixes, key=len)]
        if isinstance(scripted, list):
            scripted = scripted.pop(0) if len(scripted) > 1 else scripted[0]
        if isinstance(scripted, DomainwatchError):
            raise scripted
        return scripted if isinstance(scripted, HttpReply) else scripted(request)


Scripted = HttpReply | DomainwatchError | Callable[[Request], HttpReply] | list[HttpReply | DomainwatchError]


@dataclass
class FakeWhois:
    """Answers by (server, query): a text, a whole reply or an error; otherwise by server alone under the key `(server,
    "*")`. `asked` keeps (server, query, charset).
    """

    answers: dict[tuple[str, str], "str | WhoisReply | DomainwatchError"] = field(default_factory=dict)
    unknown: DomainwatchError = field(default_factory=lambda: TryLater("nobody there", reason="unreachable"))
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)

    def ask(self, server: str, query: str, *, charset: str | None, timeout_s: float) -> WhoisReply:
        self.asked.append((server, query, charset))
        answer = self.answers.get((server, query), self.answers.get((server, "*"), self.unknown))
        if isinstance(answer, DomainwatchError):
            raise answer
        if isinstance(answer, WhoisReply):
            return answer
        return WhoisReply(text=answer, complete=True, duration_ms=1)
