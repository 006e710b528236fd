"""Client of the analysis service that scores profiles."""
import logging
from typing import Any, Dict, Optional

import httpx

from app.core.config import get_settings

logger = logging.getLogger(__name__)

LIMITS = httpx.Timeout(20.0, connect=3.0)
ATTEMPTS = 3


class AnalysisUnavailableError(RuntimeError):
    pass


def request_analysis(username: str) -> Optional[Dict[str, Any]]:
    """Ask for a new analysis; None when the analysis is switched off."""
    base_url = get_settings().analysis_url
    if base_url is None:
        return None

    transport = httpx.HTTPTransport(retries=ATTEMPTS)
    with httpx.Client(base_url=base_url, timeout=LIMITS, transport=transport) as client:
        try:
            response = client.post("/v1/profiles", json={"username": username})
            response.raise_for_status()
        except httpx.HTTPError as error:
            logger.warning("Analysis of %s not accepted: %s", username, type(error).__name__)
            raise AnalysisUnavailableError(username) from error
        return response.json()
