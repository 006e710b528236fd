"""API gateway: the only service that is reachable from outside.

Checks the caller's token, the role that the path needs and the rate limit, then forwards to the service that
owns the path.
"""
import logging
import os

import httpx
import jwt
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, Response

from limits import RateLimiter
from routing import Route, route_for
from tokens import SERVICE_ISSUER, verify_token

logging.basicConfig(level=os.getenv("LOG_LEVEL", "INFO"))
log = logging.getLogger("api-gateway")

PASSED_HEADERS = ("accept", "accept-language", "content-type", "content-length", "range", "x-request-id")
RETURNED_HEADERS = ("content-type", "content-disposition", "content-range", "etag", "x-request-id")
MAX_ANSWER_BYTES = 32 * 1024 * 1024
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]

limiter = RateLimiter(per_minute=int(os.getenv("RATE_LIMIT_PER_MINUTE", "120")))
app = FastAPI(title="api-gateway", docs_url=None, redoc_url=None, openapi_url=None)


class Unauthorised(HTTPException):
    def __init__(self, detail: str) -> None:
        super().__init__(401, detail, headers={"WWW-Authenticate": "Bearer"})


# --- who is calling --------------------------------------------------------

def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthorised("a bearer token is needed")
    return token.strip()


def _roles(claims: dict) -> list[str]:
    """The caller's roles; tokens of the first release have a single one as text."""
    roles = claims.get("roles", [])
    return [roles] if isinstance(roles, str) else [str(role) for role in roles]


def _authenticate(request: Request) -> dict:
    """The caller: subject and roles."""
    token = _bearer(request)
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
        if claims.get("iss") == SERVICE_ISSUER:
            return {"sub": claims["sub"], "roles": ["service"]}
        claims = verify_token(token)
    except (jwt.InvalidTokenError, KeyError) as exc:
        log.info("token refused: %s", type(exc).__name__)
        raise Unauthorised("the token is not valid") from exc
    return {"sub": claims["sub"], "roles": _roles(claims)}


def _authorise(caller: dict, path: str) -> Route:
    route = route_for(path)
    if route is None:
        raise HTTPException(404, "no such path")
    if route.roles.isdisjoint(caller["roles"]):
        log.warning("%s may not call %s", caller["sub"], route.prefix)
        raise HTTPException(403, "not allowed")
    return route


@app.api_route("/{path:path}", methods=METHODS)
async def gateway(request: Request):
    """Every request from outside comes in here."""
    if request.url.path == "/health":
        return {"status": "healthy", "service": "api-gateway"}

    caller = _authenticate(request)
    if request.url.path == "/v1/whoami":
        return JSONResponse(caller)
    if not limiter.allow(caller["sub"]):
        raise HTTPException(429, "too many requests", headers={"Retry-After": "60"})
    route = _authorise(caller, request.url.path)
    return await _forward(request, route, caller)


async def _forward(request: Request, route: Route, caller: dict) -> Response:
    """Pass a request on. Bodies are streamed to the service, answers are collected up to MAX_ANSWER_BYTES."""
    headers = {name: request.headers[name] for name in PASSED_HEADERS if name in request.headers}
    headers["x-user-id"] = caller["sub"]
    headers["x-user-roles"] = ",".join(caller["roles"])
    body = request.stream() if request.method in ("POST", "PUT", "PATCH") else None
    if body is None:
        headers.pop("content-length", None)
    target = route.target(request.url.path)
    content = bytearray()
    try:
        async with httpx.AsyncClient(timeout=None) as client:
            call = client.stream(request.method, target, params=request.query_params, headers=headers, content=body)
            async with call as answer:
                async for chunk in answer.aiter_bytes():
                    content += chunk
                    if len(content) > MAX_ANSWER_BYTES:
                        log.error("the answer of %s is too large", route.prefix)
                        raise HTTPException(502, "the answer is too large")
    except httpx.TimeoutException as exc:
        log.error("%s timed out: %s", route.prefix, type(exc).__name__)
        raise HTTPException(504, "the service takes too long") from exc
    except httpx.RequestError as exc:
        log.error("%s cannot be reached: %s", route.prefix, type(exc).__name__)
        raise HTTPException(502, "the service cannot be reached") from exc
    returned = {name: answer.headers[name] for name in RETURNED_HEADERS if name in answer.headers}
    return Response(bytes(content), answer.status_code, headers=returned)
