import os
from dataclasses import dataclass, field
from functools import lru_cache
from typing import List, Optional


class ConfigurationError(RuntimeError):
    pass


def _required(name: str) -> str:
    value = os.environ.get(name, "").strip()
    if not value:
        raise ConfigurationError(f"{name} is not set")
    return value


@dataclass(frozen=True)
class Settings:
    database_url: str = field(repr=False)
    supabase_jwt_secret: str = field(repr=False)
    database_pool_size: int = 10
    analysis_url: Optional[str] = None
    stats_refresh_seconds: int = 3600
    cors_origins: List[str] = field(default_factory=list)
    log_level: str = "INFO"


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    return Settings(
        database_url=_required("DATABASE_URL"),
        supabase_jwt_secret=_required("SUPABASE_JWT_SECRET"),
        database_pool_size=int(os.environ.get("DATABASE_POOL_SIZE", "10")),
        analysis_url=os.environ.get("ANALYSIS_URL") or None,
        stats_refresh_seconds=int(os.environ.get("STATS_REFRESH_SECONDS", "3600")),
        cors_origins=[origin.strip() for origin in os.environ.get("CORS_ORIGINS", "").split(",") if origin.strip()],
        log_level=os.environ.get("LOG_LEVEL", "INFO").upper(),
    )
