"""Tells the configured webhook about finished generations."""
import asyncio
import logging
from typing import Any, Dict

import httpx

from config import get_settings

logger = logging.getLogger(__name__)

RETRY_DELAYS = (1, 4, 15)


class WebhookService:
    async def notify(self, event: str, payload: Dict[str, Any]) -> bool:
        url = get_settings().webhook_url
        if url is None:
            return False

        body = {"event": event, "data": payload}
        async with httpx.AsyncClient(timeout=httpx.Timeout(10.0, connect=3.0)) as client:
            for delay in (*RETRY_DELAYS, None):
                try:
                    response = await client.post(url, json=body)
                    response.raise_for_status()
                    return True
                except httpx.HTTPError as error:
                    logger.warning("[WEBHOOK] %s not delivered: %s", event, type(error).__name__)
                if delay is not None:
                    await asyncio.sleep(delay)

        logger.error("[WEBHOOK] Giving up on %s for generation %s", event, payload.get("generation_id"))
        return False


webhook_service = WebhookService()
