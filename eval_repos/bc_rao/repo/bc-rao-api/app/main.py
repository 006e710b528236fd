"""BC-RAO API: Reddit campaigns from collection to monitored posts.

Phases 1 to 5 (auth, collection, analysis, drafts, monitoring) are live;
billing is phase 6. Run with:

    uvicorn app.main:app --host 0.0.0.0 --port 8000
"""

import logging
import time
import uuid
from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware

from app.api.v1 import campaigns, drafts, monitoring
from app.config import LOG_FORMAT, get_settings
from app.utils.errors import AppError, handle_app_error, handle_unexpected_error

logger = logging.getLogger(__name__)

API_PREFIX = "/api/v1"
API_VERSION = "0.5.2"
API_DESCRIPTION = (
    "Collects posts, learns what a subreddit accepts, drafts posts and watches them."
)
REQUEST_ID_HEADER = "x-request-id"
SLOW_REQUEST_SECONDS = 2.0


def configure_logging(level: str) -> None:
    """One plain text format for the API and the in-process workers."""
    logging.basicConfig(
        level=level,
        format=LOG_FORMAT,
    )


async def log_requests(
    request: Request,
    call_next: Callable[[Request], Awaitable[Response]],
) -> Response:
    """Tag every response with a request id and log the slow ones."""
    request_id = request.headers.get(REQUEST_ID_HEADER) or uuid.uuid4().hex
    started = time.monotonic()
    response = await call_next(request)
    elapsed = time.monotonic() - started
    if elapsed > SLOW_REQUEST_SECONDS:
        logger.warning(
            "Slow request %s %s took %.2fs (id %s)",
            request.method,
            request.url.path,
            elapsed,
            request_id,
        )
    response.headers[REQUEST_ID_HEADER] = request_id
    return response


settings = get_settings()
configure_logging(settings.log_level)


app = FastAPI(
    title="BC-RAO API",
    description=API_DESCRIPTION,
    version=API_VERSION,
    docs_url=f"{API_PREFIX}/docs",
)

app.add_middleware(
    CORSMiddleware,
    allow_origins=list(settings.frontend_origins),
    allow_credentials=True,
    allow_methods=["*"],
    allow_headers=["*"],
)
app.middleware("http")(log_requests)

app.add_exception_handler(AppError, handle_app_error)
app.add_exception_handler(Exception, handle_unexpected_error)

app.include_router(campaigns.router, prefix=API_PREFIX)
app.include_router(drafts.router, prefix=API_PREFIX)
app.include_router(monitoring.router, prefix=API_PREFIX)


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok", "version": API_VERSION}
