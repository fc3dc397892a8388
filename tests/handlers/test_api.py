"""`events/api.json` through the real doorway."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

import api
from domainwatch import wiring
from tests.fakes_api import ApiWorld

EVENT = json.loads((Path(__file__).parents[2] / "events" / "api.json").read_text())
CONTEXT = SimpleNamespace(aws_request_id="r1")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> ApiWorld:
    world = ApiWorld()
    monkeypatch.setattr(wiring, "api", lambda: world.api)
    return world


def test_the_sample_event_is_answered(world: ApiWorld) -> None:
    world.watch("xn--bcher-kva.de", status="registered", phase="active")
    world.add_token(EVENT["headers"]["authorization"].removeprefix("Bearer "), "read")
    response = api.handler(EVENT, CONTEXT)
    assert response["statusCode"] == 200
    assert response["isBase64Encoded"] is False
    assert json.loads(response["body"])["unicode"] == "bücher.de"


def test_without_its_token_it_is_refused(world: ApiWorld) -> None:
    response = api.handler(EVENT, CONTEXT)
    assert response["statusCode"] == 401
    assert response["headers"]["content-type"] == "application/problem+json"
