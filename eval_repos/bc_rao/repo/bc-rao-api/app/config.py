"""Settings, read once from the environment (see .env.example)."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


@dataclass(frozen=True)
class Settings:
    supabase_url: str
    supabase_service_key: str
    supabase_jwt_secret: str
    redis_url: str
    openrouter_api_key: str
    apify_api_token: str
    reddit_client_id: str
    reddit_client_secret: str
    resend_api_key: str
    alert_sender: str
    frontend_origins: tuple[str, ...]
    trial_cost_cap_usd: float
    log_level: str


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Build the settings; a missing required variable raises KeyError at startup."""
    origins = environ["FRONTEND_ORIGINS"].split(",")
    return Settings(
        supabase_url=environ["SUPABASE_URL"],
        supabase_service_key=environ["SUPABASE_SERVICE_KEY"],
        supabase_jwt_secret=environ["SUPABASE_JWT_SECRET"],
        redis_url=environ["REDIS_URL"],
        openrouter_api_key=environ["OPENROUTER_API_KEY"],
        apify_api_token=environ["APIFY_API_TOKEN"],
        reddit_client_id=environ["REDDIT_CLIENT_ID"],
        reddit_client_secret=environ["REDDIT_CLIENT_SECRET"],
        resend_api_key=environ["RESEND_API_KEY"],
        alert_sender=environ["ALERT_SENDER"],
        frontend_origins=tuple(origin.strip() for origin in origins if origin.strip()),
        trial_cost_cap_usd=float(environ.get("TRIAL_COST_CAP_USD", "0.50")),
        log_level=environ.get("LOG_LEVEL", "INFO"),
    )


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    return load_settings(os.environ)
