"""Tokens and a stand-in for the services behind the gateway."""
import time

import httpx
import jwt
from helpers import KEYS

RealClient = httpx.AsyncClient


def bearer(kid="user-2024", secret=None, **changes):
    claims = {
        "sub": "lan",
        "iss": "ai2text-portal",
        "aud": "ai2text",
        "exp": int(time.time()) + 600,
        "iat": int(time.time()),
        "roles": ["annotator", "trainer"],
        **changes,
    }
    token = jwt.encode(claims, secret or KEYS[kid], algorithm="HS256", headers={"kid": kid})
    return {"Authorization": f"Bearer {token}"}


class Upstream:
    def __init__(self, monkeypatch, answer=None):
        self.requests = []
        self.clients = 0
        self.answer = answer

        def client(*args, **options):
            self.clients += 1
            options["transport"] = httpx.MockTransport(self.handle)
            return RealClient(*args, **options)

        monkeypatch.setattr(httpx, "AsyncClient", client)

    async def handle(self, request):
        self.requests.append(request)
        if self.answer is not None:
            return await self.answer(request)
        return httpx.Response(200, json={"ok": True})
