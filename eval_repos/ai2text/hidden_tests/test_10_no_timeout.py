"""A service that never answers does not hold a request of the gateway for ever."""
import asyncio
import math
import time

import httpx
from gateway_helpers import RealClient, Upstream, bearer

SPEED = 1000
PATIENCE = 6000


class FastLoop(asyncio.SelectorEventLoop):
    """An event loop in which time passes 1000 times as fast."""

    def __init__(self):
        super().__init__()
        select = self._selector.select
        self._selector.select = lambda timeout=None: select(timeout if timeout is None else timeout / SPEED)

    def time(self):
        return time.monotonic() * SPEED


async def never_answers(request):
    """A mock transport knows no timeouts, so apply those that the client asked for."""
    limits = request.extensions.get("timeout", {})
    seconds = limits.get("read")
    finite = all(isinstance(limits.get(name), (int, float)) and math.isfinite(limits[name]) for name in ("connect", "read", "write"))
    if not finite:
        await asyncio.Event().wait()
    await asyncio.sleep(seconds)
    raise httpx.ReadTimeout("timed out", request=request)


def test_hanging_service_is_given_up(world, monkeypatch):
    upstream = Upstream(monkeypatch, never_answers)
    app = world.load("api-gateway").app

    async def call():
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app, client=("127.0.0.1", 4711))
            async with RealClient(transport=transport, base_url="http://gateway", timeout=None) as client:
                return await client.get("/v1/metadata/stats", headers=bearer())

    async def patient():
        return await asyncio.wait_for(call(), PATIENCE)

    with asyncio.Runner(loop_factory=FastLoop) as runner:
        try:
            answer = runner.run(patient())
        except TimeoutError:
            raise AssertionError(f"no answer after {PATIENCE} s") from None
    assert len(upstream.requests) >= 1
    assert answer.status_code in (502, 503, 504)


def test_answers_are_passed_on(world, monkeypatch):
    upstream = Upstream(monkeypatch)
    app = world.load("api-gateway").app

    async def call():
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app, client=("127.0.0.1", 4711))
            async with RealClient(transport=transport, base_url="http://gateway") as client:
                return await client.post("/v1/training/runs", headers=bearer(), json={"version": "v1"})

    answer = asyncio.run(call())
    assert (answer.status_code, answer.json()) == (200, {"ok": True})
    assert b"v1" in upstream.requests[0].content
