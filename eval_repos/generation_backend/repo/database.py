"""The connection to Supabase."""
import logging
from typing import Optional

from supabase import AsyncClient, acreate_client

from config import Settings
from errors import DatabaseUnavailableError

logger = logging.getLogger(__name__)


class Database:
    """Holds the Supabase client; `client` is None until `connect` has succeeded."""

    def __init__(self) -> None:
        self.client: Optional[AsyncClient] = None

    def is_available(self) -> bool:
        return self.client is not None

    def require_client(self) -> AsyncClient:
        if self.client is None:
            raise DatabaseUnavailableError("Database is not connected")
        return self.client

    async def connect(self, settings: Settings) -> None:
        try:
            self.client = await acreate_client(settings.supabase_url, settings.supabase_service_key)
        except Exception:
            # The service starts anyway: /health/ready answers 503 until the next attempt succeeds.
            logger.exception("[DATABASE] Could not connect to Supabase")
        else:
            logger.info("[DATABASE] Connected to Supabase")

    async def close(self) -> None:
        if self.client is not None:
            await self.client.postgrest.aclose()
            self.client = None


db = Database()
