import time

import httpx
import jwt
import pytest
from conftest import KEYS
from fastapi.testclient import TestClient
from limits import RateLimiter
from tokens import load_keys


def token(kid="user-2024", secret=None, headers=None, **changes):
    claims = {
        "sub": "lan",
        "iss": "ai2text-portal",
        "aud": "ai2text",
        "exp": int(time.time()) + 600,
        "roles": ["annotator", "trainer"],
        **changes,
    }
    return jwt.encode(claims, secret or KEYS[kid], algorithm="HS256", headers={"kid": kid})


def bearer(**changes):
    return {"Authorization": f"Bearer {token(**changes)}"}


class Upstream:
    """Takes the place of the services behind the gateway."""

    def __init__(self):
        self.requests = []
        self.answer = lambda request: httpx.Response(200, json={"ok": True}, headers={"x-secret": "inside"})

    def __call__(self, request):
        self.requests.append(request)
        return self.answer(request)


@pytest.fixture
def upstream(monkeypatch):
    upstream = Upstream()
    original = httpx.AsyncClient

    def client(*args, **options):
        options["transport"] = httpx.MockTransport(upstream)
        return original(*args, **options)

    monkeypatch.setattr(httpx, "AsyncClient", client)
    return upstream


@pytest.fixture
def gateway(load, upstream):
    app = load("api-gateway/app.py").app
    with TestClient(app, client=("127.0.0.1", 50000)) as client:
        yield client


def test_health_and_whoami(gateway):
    answer = gateway.get("/health", headers=bearer())
    assert answer.status_code == 200
    assert answer.json()["status"] == "healthy"
    assert gateway.get("/v1/whoami", headers=bearer(roles="annotator")).json() == {"sub": "lan", "roles": ["annotator"]}


def test_request_is_forwarded_with_the_callers_identity(gateway, upstream):
    answer = gateway.get("/v1/metadata/recordings?status=new", headers={**bearer(), "x-user-id": "somebody-else"})
    assert answer.json() == {"ok": True}
    assert "x-secret" not in answer.headers
    (request,) = upstream.requests
    assert str(request.url) == "http://metadata:8000/recordings?status=new"
    assert request.headers["x-user-id"] == "lan"
    assert "authorization" not in request.headers


def test_body_and_status_are_passed_on(gateway, upstream):
    upstream.answer = lambda request: httpx.Response(202, json={"run_id": "r1"})
    answer = gateway.post("/v1/training/runs", headers=bearer(), json={"version": "v1"})
    assert (answer.status_code, answer.json()) == (202, {"run_id": "r1"})
    assert upstream.requests[0].content.replace(b" ", b"") == b'{"version":"v1"}'


def test_requests_without_a_valid_token_are_refused(gateway, upstream):
    refused = {
        "none": {},
        "basic": {"Authorization": "Basic bGFuOng="},
        "garbage": {"Authorization": "Bearer not-a-token"},
        "expired": bearer(exp=int(time.time()) - 5),
        "audience": bearer(aud="something-else"),
        "signature": bearer(secret="x" * 40),
        "key id": {"Authorization": f"Bearer {jwt.encode({'sub': 'lan'}, 'k' * 40, headers={'kid': 'gone'})}"},
    }
    for what, headers in refused.items():
        answer = gateway.get("/v1/metadata/recordings", headers=headers)
        assert answer.status_code == 401, what
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert upstream.requests == []


def test_services_may_call_with_their_own_tokens(gateway, upstream):
    headers = bearer(kid="svc", iss="ai2text-internal", sub="training-orchestrator", roles=["service"])
    assert gateway.get("/v1/training/datasets/v1", headers=headers).status_code == 200
    assert upstream.requests[0].headers["x-user-roles"] == "service"


def test_roles_and_unknown_paths(gateway, upstream):
    assert gateway.post("/v1/training/runs", headers=bearer(roles=["annotator"])).status_code == 403
    assert upstream.requests == []
    for path in ("/v1/unknown", "/v1/metadata-x/recordings", "/v1/metadata/%2e%2e/x"):
        assert gateway.get(path, headers=bearer()).status_code == 404, path


def test_failures_of_a_service(gateway, upstream):
    def fail(request):
        raise failure

    upstream.answer = fail
    for failure, status in ((httpx.ReadTimeout("slow"), 504), (httpx.ConnectError("refused"), 502)):
        answer = gateway.get("/v1/metadata/stats", headers=bearer())
        assert answer.status_code == status
        assert "refused" not in answer.text


def test_too_large_an_answer_is_not_passed_on(load, upstream):
    module = load("api-gateway/app.py")
    module.MAX_ANSWER_BYTES = 100
    upstream.answer = lambda request: httpx.Response(200, content=b"x" * 101)
    with TestClient(module.app, client=("127.0.0.1", 50000)) as client:
        assert client.get("/v1/metadata/stats", headers=bearer()).status_code == 502


def test_rate_limit(load, upstream):
    module = load("api-gateway/app.py")
    module.limiter = RateLimiter(per_minute=2, clock=lambda: 0.0)
    with TestClient(module.app, client=("127.0.0.1", 50000)) as client:
        codes = [client.get("/v1/metadata/stats", headers=bearer()).status_code for _ in range(3)]
        assert codes == [200, 200, 429]
        assert client.get("/v1/metadata/stats", headers=bearer(sub="minh")).status_code == 200


def test_rate_limiter_forgets_the_oldest_caller():
    now = [0.0]
    limiter = RateLimiter(per_minute=1, max_callers=2, clock=lambda: now[0])
    assert [limiter.allow(caller) for caller in "abc"] == [True, True, True]
    assert limiter.allow("a") and not limiter.allow("c")
    now[0] = 61.0
    assert limiter.allow("c")


def test_short_keys_are_refused():
    with pytest.raises(ValueError, match="svc"):
        load_keys('{"svc": "short"}')
