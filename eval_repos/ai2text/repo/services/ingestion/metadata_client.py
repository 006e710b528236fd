"""Client of the metadata service."""
import asyncio
import random

import httpx

ATTEMPTS = 4
FIRST_DELAY = 0.5
TIMEOUT = httpx.Timeout(10.0, connect=3.0)


class MetadataUnavailable(Exception):
    """The metadata service did not take the recording in time."""


class MetadataClient:
    def __init__(self, base_url: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._http = httpx.AsyncClient(base_url=base_url, timeout=TIMEOUT, transport=transport)

    async def create_recording(self, recording: dict) -> None:
        """Register a recording. The id comes from the caller, so that a repeated attempt changes nothing."""
        delay = FIRST_DELAY
        for attempt in range(1, ATTEMPTS + 1):
            try:
                response = await self._http.post("/recordings", json=recording)
                if response.status_code < 500:
                    response.raise_for_status()
                    return
                reason: object = response.status_code
            except httpx.TransportError as exc:
                reason = exc
            print(f"[WARNING] metadata attempt {attempt} of {ATTEMPTS} failed: {reason!r}")
            if attempt < ATTEMPTS:
                await asyncio.sleep(delay + random.uniform(0, delay))
                delay *= 2
        raise MetadataUnavailable(f"gave up after {ATTEMPTS} attempts")

    async def close(self) -> None:
        await self._http.aclose()
