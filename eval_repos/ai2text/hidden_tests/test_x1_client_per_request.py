"""The gateway keeps its connections to the services instead of building a client for every request."""
from fastapi.testclient import TestClient
from gateway_helpers import Upstream, bearer


def test_client_is_shared(world, monkeypatch):
    upstream = Upstream(monkeypatch)
    with TestClient(world.load("api-gateway").app, client=("127.0.0.1", 4711)) as client:
        for _ in range(6):
            assert client.get("/v1/metadata/stats", headers=bearer()).status_code == 200
    assert len(upstream.requests) == 6
    assert upstream.clients <= 3, f"{upstream.clients} clients for 6 requests"
