"""The control API: how a run, a test or a person looks at the world and changes it. JSON over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .web import Request, Response, json_response

if TYPE_CHECKING:
    from .world import World


class BadRequestError(ValueError):
    """The request cannot be understood; the text says why."""


class Control:
    """GET /state, /expectations, /world; POST /fault, /names, /clock, /judge, /secret."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def handle(self, request: Request) -> Response:
        try:
            return json_response(self._reply(request.method, request.path.rstrip("/") or "/", request))
        except LookupError:
            return json_response({"error": f"there is no {request.method} {request.path}"}, 404)
        except (ValueError, TypeError) as exc:
            return json_response({"error": str(exc)}, 400)

    def _reply(self, method: str, path: str, request: Request) -> Any:
        world = self._world
        match method, path:
            case "GET", "/" | "/state":
                return world.state()
            case "GET", "/expectations":
                return world.expectations()
            case "GET", "/world":
                return world.urls
            case "POST", "/judge":
                statuses = _object(_body(request).get("statuses"), "statuses")
                return world.judge({name: None if status is None else str(status) for name, status in statuses.items()})
            case "POST", "/fault":
                body = _body(request)
                target, fault = body.pop("target", None), body.pop("fault", None)
                if not isinstance(target, str):
                    raise BadRequestError("'target' is missing")
                world.switch(target, None if fault in (None, "none") else str(fault), body)
                return {"faults": world.faults.view()}
            case "POST", "/names":
                body = _body(request)
                name, state, listed = body.get("name", ""), body.get("state", ""), body.get("listed", True)
                world.set_name(str(name), str(state), listed=bool(listed))
                return {"names": len(world.registry.names)}
            case "POST", "/clock":
                body = _body(request)
                if "advance_s" in body:
                    world.clock.advance(float(body["advance_s"]))
                if body.get("start"):
                    world.clock.start()
                return {"started": world.clock.started, "elapsed_s": world.clock.elapsed_s}
            case "POST", "/secret":
                # A stack that made its own signing secret tells it here, so that signatures can be checked.
                body = _body(request)
                world.receiver.webhook_secret = str(body.get("webhook_secret", world.receiver.webhook_secret))
                world.receiver.auth_token = str(body.get("auth_token", world.receiver.auth_token))
                return {"ok": True}
            case _:
                raise LookupError(path)


def _body(request: Request) -> dict[str, Any]:
    return _object(request.json(), "the body")


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise BadRequestError(f"{what} should be a JSON object")
    return dict(value)
