"""From a method and a path to the function that answers."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from domainwatch.api.gateway import Reply, Request
from domainwatch.api.problems import Problem
from domainwatch.api.tokens import Scope

Answer = Callable[[Request, Mapping[str, str]], Reply]


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint: its path below the root and below `/v1`, `{…}` for what varies; `scope` None needs no token.
    `v1_only`: not at the original paths.
    """

    method: str
    path: str
    answer: Answer
    scope: Scope | None
    v1_only: bool = False

    def match(self, segments: tuple[str, ...]) -> dict[str, str] | None:
        """What the path's variables stand for; None when this is another path."""
        if segments[:1] == ("v1",):
            segments = segments[1:]
        elif self.v1_only:
            return None
        pattern = self.path.strip("/").split("/")
        if len(pattern) != len(segments):
            return None
        variables = {}
        for wanted, given in zip(pattern, segments, strict=True):
            if wanted.startswith("{"):
                variables[wanted[1:-1]] = given
            elif wanted != given:
                return None
        return variables


def find(routes: Iterable[Route], method: str, segments: tuple[str, ...]) -> tuple[Route, dict[str, str]]:
    """The route and its variables. Raises `Problem` 404 or 405."""
    allowed = []
    for route in routes:
        variables = route.match(segments)
        if variables is None:
            continue
        if route.method == method or (method == "HEAD" and route.method == "GET"):
            return route, variables
        allowed.append(route.method)
    if allowed:
        raise Problem(
            405, "method_not_allowed", f"this path takes {', '.join(allowed)}", headers={"allow": ", ".join(allowed)}
        )
    raise Problem(404, "no_such_path", "there is nothing at this path")
