"""The application: wiring and nothing else."""

import logging
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware

from app import __version__
from app.agents import AgentDirectory, ChatService
from app.config import Settings
from app.database import Database
from app.feature_flags import FeatureFlags
from app.input_validation import build_validation_middleware
from app.logging_config import configure_access_log, configure_logging
from app.middleware import ClientVersionMiddleware, RequestContextMiddleware, install_error_handlers
from app.observability import Metrics
from app.rate_limiting import build_store
from app.routes import router
from app.storage import LocalStorage, StorageService
from app.supabase_client import SupabaseClient

logger = logging.getLogger(__name__)


@asynccontextmanager
async def lifespan(app: FastAPI):
    logger.info("AI-Agent backend %s is up", app.version)
    yield
    state = app.state
    for part in (state.chat, state.supabase, state.rate_store, state.flags, state.db):
        part.close()
    logger.info("AI-Agent backend is down")


def create_app(settings: Settings | None = None) -> FastAPI:
    settings = settings or Settings.from_env()
    configure_logging(settings.log_file)
    configure_access_log(settings.log_file)

    app = FastAPI(title="AI-Agent Backend", version=__version__, lifespan=lifespan)
    state = app.state
    state.settings = settings
    state.metrics = Metrics()
    state.db = Database(settings.local_db_path)
    state.supabase = SupabaseClient(settings.supabase_url, settings.supabase_key)
    state.storage = StorageService(LocalStorage(settings.upload_dir), state.supabase)
    state.agents = AgentDirectory(state.supabase, state.db)
    state.chat = ChatService(state.db, state.storage.local, settings.openai_api_key, settings.openai_model)
    state.rate_store = build_store(settings.redis_url)
    state.flags = FeatureFlags(settings.posthog_api_key, settings.posthog_host)

    app.include_router(router)
    if settings.admin_api_enabled:
        from app.admin_routes import router as admin_router

        app.include_router(admin_router)

    install_error_handlers(app)
    app.add_middleware(GZipMiddleware, minimum_size=1024)
    if settings.request_validation:
        app.add_middleware(build_validation_middleware())
    app.add_middleware(ClientVersionMiddleware, minimum=settings.min_client_version)
    app.add_middleware(RequestContextMiddleware)
    app.add_middleware(CORSMiddleware, allow_origins=list(settings.cors_origins), allow_methods=["*"], allow_headers=["*"])
    return app
