"""Feature flags from PostHog, with the defaults of the release when PostHog has no answer."""

import logging

try:
    from posthog import Posthog
except ImportError:
    Posthog = None

logger = logging.getLogger(__name__)

DEFAULTS = {"video-jobs": True, "document-context": True}


class FeatureFlags:
    def __init__(self, api_key: str | None, host: str) -> None:
        self._client = None
        if Posthog is None or api_key is None:
            logger.warning("PostHog is not configured, feature flags have their default values")
            return
        self._client = Posthog(api_key, host=host)

    def is_enabled(self, flag: str, user_id: int) -> bool:
        default = DEFAULTS.get(flag, False)
        if self._client is None:
            return default
        answer = self._client.feature_enabled(flag, str(user_id))
        return default if answer is None else bool(answer)

    def close(self) -> None:
        if self._client is not None:
            self._client.shutdown()
