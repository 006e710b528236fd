"""Settings of the service, read once from the environment."""
import os
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Dict, List, Optional


class ConfigurationError(RuntimeError):
    """A required setting is missing or malformed."""


def _required(name: str) -> str:
    value = os.environ.get(name, "").strip()
    if not value:
        raise ConfigurationError(f"{name} is not set")
    return value


def _parse_secrets(raw: str) -> Dict[str, str]:
    secrets: Dict[str, str] = {}
    for item in raw.split(","):
        kid, separator, secret = item.strip().partition("=")
        if not separator or not secret:
            raise ConfigurationError("SUPABASE_JWT_SECRETS must look like kid=secret,kid2=secret2")
        secrets[kid] = secret
    return secrets


@dataclass(frozen=True)
class Settings:
    supabase_url: str
    supabase_service_key: str = field(repr=False)
    jwt_secrets: Dict[str, str] = field(repr=False)
    fal_key: str = field(repr=False)
    fal_queue_url: str = "https://queue.fal.run"
    fal_poll_seconds: float = 2.0
    storage_bucket: str = "generations"
    max_output_bytes: int = 100 * 1024 * 1024
    webhook_url: Optional[str] = None
    cors_origins: List[str] = field(default_factory=list)
    log_level: str = "INFO"

    @property
    def default_kid(self) -> str:
        return next(iter(self.jwt_secrets))

    @classmethod
    def from_env(cls) -> "Settings":
        return cls(
            supabase_url=_required("SUPABASE_URL"),
            supabase_service_key=_required("SUPABASE_SERVICE_KEY"),
            jwt_secrets=_parse_secrets(_required("SUPABASE_JWT_SECRETS")),
            fal_key=_required("FAL_KEY"),
            fal_queue_url=os.environ.get("FAL_QUEUE_URL", "https://queue.fal.run").rstrip("/"),
            fal_poll_seconds=float(os.environ.get("FAL_POLL_SECONDS", "2")),
            storage_bucket=os.environ.get("STORAGE_BUCKET", "generations"),
            max_output_bytes=int(os.environ.get("MAX_OUTPUT_BYTES", str(100 * 1024 * 1024))),
            webhook_url=os.environ.get("WEBHOOK_URL") or None,
            cors_origins=[origin.strip() for origin in os.environ.get("CORS_ORIGINS", "").split(",") if origin.strip()],
            log_level=os.environ.get("LOG_LEVEL", "INFO").upper(),
        )


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    return Settings.from_env()
