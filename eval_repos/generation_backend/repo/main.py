"""Entry point: uvicorn main:app"""
import logging
from contextlib import AsyncExitStack, asynccontextmanager
from typing import AsyncIterator

from fastapi import FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse

from config import get_settings
from database import db
from errors import PublicError, ServiceUnavailableError
from middleware.request_context import RequestContextMiddleware
from routers import auth, credits, generations, health
from services.fal_service import fal_service
from services.generation_service import generation_service
from utils.logging_config import configure_logging

logger = logging.getLogger(__name__)

API_PREFIX = "/api/v1"


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings = get_settings()
    configure_logging(settings.log_level)
    async with AsyncExitStack() as stack:
        await db.connect(settings)
        stack.push_async_callback(db.close)
        await fal_service.start(settings)
        stack.push_async_callback(fal_service.close)
        stack.push_async_callback(generation_service.drain)
        yield


async def handle_public_error(request: Request, error: PublicError) -> JSONResponse:
    return JSONResponse(status_code=error.status_code, content={"detail": str(error)})


async def handle_unavailable(request: Request, error: ServiceUnavailableError) -> JSONResponse:
    logger.error("%s %s: a service is unavailable", request.method, request.url.path, exc_info=error)
    return JSONResponse(
        status_code=503, content={"detail": "A service is temporarily unavailable"}, headers={"Retry-After": "30"}
    )


def create_app() -> FastAPI:
    app = FastAPI(title="Generation backend", lifespan=lifespan)
    app.add_middleware(RequestContextMiddleware)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=get_settings().cors_origins,
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["Authorization", "Content-Type"],
    )
    app.add_exception_handler(PublicError, handle_public_error)
    app.add_exception_handler(ServiceUnavailableError, handle_unavailable)
    app.include_router(health.router)
    for module in (auth, credits, generations):
        app.include_router(module.router, prefix=API_PREFIX)
    return app


app = create_app()
