"""Request ids, access log, client versions and the answers to exceptions."""

import logging
import time
import uuid

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from packaging.version import InvalidVersion, Version
from starlette.middleware.base import BaseHTTPMiddleware

from app.agents import AgentNotFound, ModelUnavailable
from app.observability import capture_error
from app.storage import FileMissing
from app.supabase_client import SupabaseUnavailable
from app.usage import QuotaExceeded
from app.video_generator import ClipRejected

logger = logging.getLogger(__name__)
access_log = logging.getLogger("app.access")


class RequestContextMiddleware(BaseHTTPMiddleware):
    """Gives every request an id and writes one line when it is answered."""

    async def dispatch(self, request: Request, call_next):
        request.state.request_id = uuid.uuid4().hex
        started = time.perf_counter()
        response = await call_next(request)
        milliseconds = (time.perf_counter() - started) * 1000
        response.headers["X-Request-ID"] = request.state.request_id
        request.app.state.metrics.count_request(request.method, response.status_code)
        access_log.info(
            "%s %s %d %.1f ms",
            request.method,
            request.url.path,
            response.status_code,
            milliseconds,
            extra={"request_id": request.state.request_id},
        )
        return response


class ClientVersionMiddleware(BaseHTTPMiddleware):
    """Apps older than the minimum must update; clients that do not say their version are let through."""

    def __init__(self, app, minimum: str) -> None:
        super().__init__(app)
        self.minimum = Version(minimum)

    async def dispatch(self, request: Request, call_next):
        stated = request.headers.get("x-client-version")
        if stated is not None:
            try:
                version = Version(stated)
            except InvalidVersion:
                return JSONResponse({"detail": "Invalid X-Client-Version"}, 400)
            if version < self.minimum:
                return JSONResponse({"detail": "Please update the app"}, 426)
        return await call_next(request)


ANSWERS = {
    AgentNotFound: (404, "No such agent"),
    FileMissing: (404, "No such file"),
    QuotaExceeded: (429, "The daily quota is used up"),
    ClipRejected: (422, "The clips are too long"),
    ModelUnavailable: (502, "The model did not answer"),
    SupabaseUnavailable: (503, "Agents are not available at the moment"),
}


def install_error_handlers(app: FastAPI) -> None:
    def known(request: Request, error: Exception) -> JSONResponse:
        code, detail = ANSWERS[type(error)]
        logger.warning("%s: %s", type(error).__name__, detail)
        return JSONResponse({"detail": detail}, code)

    def unexpected(request: Request, error: Exception) -> JSONResponse:
        request_id = getattr(request.state, "request_id", None)
        logger.error("Unexpected error", exc_info=error, extra={"request_id": request_id})
        capture_error(error, request_id)
        return JSONResponse({"detail": "Internal server error", "request_id": request_id}, 500)

    for kind in ANSWERS:
        app.add_exception_handler(kind, known)
    app.add_exception_handler(Exception, unexpected)
