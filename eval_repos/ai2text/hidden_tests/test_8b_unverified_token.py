"""A token is believed only after its signature was checked, whoever it says it comes from."""
import base64
import json
import time

import pytest
from fastapi.testclient import TestClient
from gateway_helpers import Upstream, bearer

SERVICE = {"iss": "ai2text-internal", "sub": "training-orchestrator", "roles": ["service"]}


@pytest.fixture
def upstream(monkeypatch):
    return Upstream(monkeypatch)


@pytest.fixture
def gateway(world, upstream):
    with TestClient(world.load("api-gateway").app, client=("127.0.0.1", 4711)) as client:
        yield client


def unsigned(**claims):
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    claims = {**SERVICE, "aud": "ai2text", "exp": int(time.time()) + 600, **claims}
    return {"Authorization": f"Bearer {part({'alg': 'none', 'typ': 'JWT', 'kid': 'svc'})}.{part(claims)}."}


def test_forged_service_tokens_are_refused(gateway, upstream):
    for what, headers in {
        "other key": bearer(kid="svc", secret="x" * 40, **SERVICE),
        "unsigned": unsigned(),
        "unknown key id": bearer(kid="gone", secret="x" * 40, **SERVICE),
        "expired": bearer(kid="svc", **{**SERVICE, "exp": int(time.time()) - 60}),
    }.items():
        answer = gateway.get("/v1/training/datasets/v1", headers=headers)
        assert answer.status_code in (401, 403), f"{what}: {answer.status_code}"
        assert gateway.get("/v1/whoami", headers=headers).status_code in (401, 403), what
    assert upstream.requests == []


def test_genuine_tokens_are_accepted(gateway, upstream):
    assert gateway.get("/v1/training/datasets/v1", headers=bearer(kid="svc", **SERVICE)).status_code == 200
    assert gateway.get("/v1/training/datasets/v1", headers=bearer()).status_code == 200
    assert [request.headers["x-user-id"] for request in upstream.requests] == ["training-orchestrator", "lan"]


def test_forged_user_tokens_are_refused(gateway, upstream):
    assert gateway.get("/v1/training/datasets/v1", headers=bearer(secret="x" * 40)).status_code == 401
    assert upstream.requests == []
