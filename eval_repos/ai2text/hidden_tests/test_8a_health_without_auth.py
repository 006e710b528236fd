"""The health of the gateway is told to callers from inside or with a token, not to everybody."""
from fastapi.testclient import TestClient
from gateway_helpers import Upstream, bearer

OUTSIDE = ("203.0.113.7", 4711)


def test_outsiders_learn_nothing(world, monkeypatch):
    Upstream(monkeypatch)
    with TestClient(world.load("api-gateway").app, client=OUTSIDE) as client:
        for headers in ({}, {"X-Forwarded-For": "127.0.0.1"}, bearer(secret="x" * 40)):
            answer = client.get("/health", headers=headers)
            assert answer.status_code in (401, 403, 404), f"{answer.status_code} for {headers}"
            assert "healthy" not in answer.text


def test_insiders_with_a_token_see_it(world, monkeypatch):
    Upstream(monkeypatch)
    with TestClient(world.load("api-gateway").app, client=("127.0.0.1", 4711)) as client:
        answer = client.get("/health", headers=bearer())
        assert answer.status_code == 200
        assert answer.json()["status"] == "healthy"


def test_other_paths_still_need_a_token(world, monkeypatch):
    upstream = Upstream(monkeypatch)
    for caller in (OUTSIDE, ("127.0.0.1", 4711)):
        with TestClient(world.load("api-gateway").app, client=caller) as client:
            assert client.get("/v1/metadata/recordings").status_code == 401
            assert client.get("/v1/metadata/recordings", headers=bearer()).status_code == 200
    assert len(upstream.requests) == 2
