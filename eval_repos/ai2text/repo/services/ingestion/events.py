"""Events for the other services: a Redis list per topic."""
import json
from datetime import datetime, timezone

from redis.asyncio import Redis


class Topics:
    """One queue a topic, e.g. Topics.INGESTED == "ai2text:ingested"."""


for _name in ("ingested", "rejected"):
    setattr(Topics, _name.upper(), f"ai2text:{_name}")


class EventBus:
    def __init__(self, client: Redis) -> None:
        self._redis = client

    async def ingested(self, recording_id: str, object_key: str, duration: float) -> None:
        await self._push(Topics.INGESTED, {"recording_id": recording_id, "object_key": object_key, "duration": duration})

    async def rejected(self, name: str, reason: str) -> None:
        await self._push(Topics.REJECTED, {"name": name, "reason": reason})

    async def close(self) -> None:
        await self._redis.aclose()

    async def _push(self, topic: str, payload: dict) -> None:
        event = {**payload, "at": datetime.now(timezone.utc).isoformat()}
        await self._redis.lpush(topic, json.dumps(event))
