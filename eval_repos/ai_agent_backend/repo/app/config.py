"""Settings of the API, read from the environment (see .env.example)."""

import os
from dataclasses import dataclass, field
from pathlib import Path


class ConfigurationError(RuntimeError):
    """A setting is missing or has a value that cannot be used."""


def _required(name: str) -> str:
    value = os.getenv(name)
    if not value:
        raise ConfigurationError(f"{name} is not set, see .env.example")
    return value


def _integer(name: str, default: int, minimum: int = 1) -> int:
    raw = os.getenv(name)
    if raw is None or not raw.strip():
        return default
    try:
        value = int(raw)
    except ValueError as error:
        raise ConfigurationError(f"{name} must be a whole number") from error
    if value < minimum:
        raise ConfigurationError(f"{name} must be at least {minimum}")
    return value


def _flag(name: str) -> bool:
    return os.getenv(name, "false").strip().lower() in {"1", "true", "yes", "on"}


@dataclass(frozen=True)
class Settings:
    supabase_url: str
    supabase_key: str = field(repr=False)
    openai_api_key: str = field(repr=False)
    jwt_secret: str = field(repr=False)
    environment: str
    redis_url: str | None = field(repr=False)
    sentry_dsn: str | None = field(repr=False)
    posthog_api_key: str | None = field(repr=False)
    posthog_host: str
    local_db_path: Path
    upload_dir: Path
    video_jobs_dir: Path
    log_file: Path
    openai_model: str
    access_token_minutes: int
    max_upload_bytes: int
    min_client_version: str
    cors_origins: tuple[str, ...]
    request_validation: bool
    admin_api_enabled: bool

    @classmethod
    def from_env(cls) -> "Settings":
        return cls(
            supabase_url=_required("SUPABASE_URL").rstrip("/"),
            supabase_key=_required("SUPABASE_SERVICE_KEY"),
            openai_api_key=_required("OPENAI_API_KEY"),
            jwt_secret=os.getenv("JWT_SECRET_KEY", "ai-agent-backend-secret-key-please-change"),
            environment=os.getenv("ENVIRONMENT", "development"),
            redis_url=os.getenv("REDIS_URL") or None,
            sentry_dsn=os.getenv("SENTRY_DSN") or None,
            posthog_api_key=os.getenv("POSTHOG_API_KEY") or None,
            posthog_host=os.getenv("POSTHOG_HOST", "https://eu.i.posthog.com"),
            local_db_path=Path(os.getenv("LOCAL_DB_PATH", "data/agent.db")),
            upload_dir=Path(os.getenv("UPLOAD_DIR", "data/uploads")),
            video_jobs_dir=Path(os.getenv("VIDEO_JOBS_DIR", "data/video_jobs")),
            log_file=Path(os.getenv("LOG_FILE", "logs/app.log")),
            openai_model=os.getenv("OPENAI_MODEL", "gpt-4o-mini"),
            access_token_minutes=_integer("ACCESS_TOKEN_MINUTES", 60),
            max_upload_bytes=_integer("MAX_UPLOAD_MB", 10) * 1024 * 1024,
            min_client_version=os.getenv("MIN_CLIENT_VERSION", "1.0.0"),
            cors_origins=tuple(origin for origin in os.getenv("CORS_ORIGINS", "").split(",") if origin),
            request_validation=_flag("REQUEST_VALIDATION"),
            admin_api_enabled=_flag("ADMIN_API_ENABLED"),
        )

    def describe(self) -> dict[str, object]:
        """What can be shown on a console: no key, no URL with a password."""
        return {
            "environment": self.environment,
            "redis": self.redis_url is not None,
            "sentry": self.sentry_dsn is not None,
            "posthog": self.posthog_api_key is not None,
            "model": self.openai_model,
            "uploads": str(self.upload_dir),
            "admin_api": self.admin_api_enabled,
        }
