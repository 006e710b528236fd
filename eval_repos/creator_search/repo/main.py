"""Entry point: uvicorn main:app"""
import asyncio
import logging
from contextlib import asynccontextmanager, suppress
from typing import AsyncIterator

from fastapi import Depends, FastAPI, Query, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse
from sqlalchemy.exc import OperationalError

from app.api import health_routes, profile_routes
from app.api.deps import get_db
from app.core.config import get_settings
from app.database.connection import check_database, dispose_engine
from app.jobs.refresh_stats import refresh_forever
from app.middleware.auth_middleware import get_current_active_user
from app.resilience.database_breaker import DatabaseCircuitOpen

try:
    from app.api.lists_routes import router as lists_router
except ImportError:
    lists_router = None

logger = logging.getLogger(__name__)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings = get_settings()
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    if not await asyncio.to_thread(check_database):
        logger.error("Starting without a database; /health/ready answers 503 until it is back")
    app.state.refresher = asyncio.create_task(refresh_forever(settings.stats_refresh_seconds))
    try:
        yield
    finally:
        app.state.refresher.cancel()
        with suppress(asyncio.CancelledError):
            await app.state.refresher
        dispose_engine()


app = FastAPI(title="Creator search", lifespan=lifespan)
app.add_middleware(
    CORSMiddleware,
    allow_origins=get_settings().cors_origins,
    allow_methods=["GET", "POST"],
    allow_headers=["Authorization", "Content-Type"],
)


@app.exception_handler(OperationalError)
@app.exception_handler(DatabaseCircuitOpen)
async def database_unavailable(request: Request, error: Exception) -> JSONResponse:
    logger.error("%s %s: database unavailable", request.method, request.url.path, exc_info=error)
    return JSONResponse(
        status_code=503, content={"detail": "The database is temporarily unavailable"}, headers={"Retry-After": "30"}
    )


app.include_router(health_routes.router)
app.include_router(profile_routes.router, prefix="/api/v1")
if lists_router is not None:
    app.include_router(lists_router, prefix="/api/v1")

try:
    from app.api.simple_creator_search_routes import router as simple_creator_router

    app.include_router(simple_creator_router, prefix="/api/v1")
    logger.info("Simple creator search routes registered")
except Exception as e:
    logger.warning(f"Simple creator search routes not available: {e}")


# TEMPORARY FIX: Add missing simple creator system stats endpoint
@app.get("/api/v1/simple/creator/system/stats")
async def simple_creator_system_stats_compatibility(
    current_user=Depends(get_current_active_user),
    db=Depends(get_db)
):
    try:
        from app.api.simple_creator_search_routes import get_system_stats
        return await get_system_stats(current_user, db)
    except Exception as e:
        # Fallback to basic response if simple routes are broken
        return {
            "success": True,
            "stats": {
                "profiles": {"total": 0, "with_ai_analysis": 0, "ai_completion_rate": "0%"},
                "posts": {"total": 0, "with_ai_analysis": 0, "ai_completion_rate": "0%"},
                "system": {"status": "fallback", "ai_system": "unavailable"}
            },
            "message": "System statistics (fallback mode)",
            "error": f"Primary endpoint failed: {str(e)}"
        }


# TEMPORARY FIX: Add missing unlocked profiles endpoint
@app.get("/api/v1/simple/creator/unlocked")
async def simple_creator_unlocked_compatibility(
    page: int = Query(1, ge=1),
    page_size: int = Query(20, ge=1, le=100),
    current_user=Depends(get_current_active_user),
    db=Depends(get_db)
):
    try:
        from app.api.simple_creator_search_routes import get_unlocked_profiles
        return await get_unlocked_profiles(page, page_size, current_user, db)
    except Exception:
        logger.exception("Unlocked profiles are not available")
        return {
            "success": False,
            "profiles": [],
            "error": "Database connectivity issues",
            "message": "Unable to retrieve unlocked profiles - database connection issues"
        }
