"""Errors to Sentry, product events to PostHog, counters for Prometheus."""

import logging

try:
    import sentry_sdk
except ImportError:
    sentry_sdk = None

try:
    import posthog
except ImportError:
    posthog = None

try:
    from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, generate_latest
except ImportError:
    CollectorRegistry = None

logger = logging.getLogger(__name__)


class Metrics:
    """Request counters in a registry of their own, so that several apps can live in one process."""

    def __init__(self) -> None:
        self.registry = None
        if CollectorRegistry is None:
            logger.info("Prometheus metrics not available")
            return
        self.registry = CollectorRegistry()
        self.requests = Counter("http_requests", "Requests by method and status", ["method", "status"], registry=self.registry)

    def count_request(self, method: str, status: int) -> None:
        if self.registry is not None:
            self.requests.labels(method=method, status=str(status)).inc()

    def render(self) -> tuple[bytes, str]:
        if self.registry is None:
            return b"", "text/plain"
        return generate_latest(self.registry), CONTENT_TYPE_LATEST


def capture_error(error: BaseException, request_id: str | None = None) -> None:
    if sentry_sdk is None:
        logger.warning("Sentry not configured, %s is only in the log", type(error).__name__)
        return
    with sentry_sdk.new_scope() as scope:
        scope.set_tag("request_id", request_id or "-")
        sentry_sdk.capture_exception(error)


def track(user_id: int, event: str, properties: dict | None = None) -> None:
    """Analytics must never break a request."""
    if posthog is None:
        logger.debug("PostHog not installed, event %s dropped", event)
        return
    try:
        posthog.capture(event, distinct_id=str(user_id), properties=properties or {})
    except Exception:
        logger.warning("PostHog did not take event %s", event, exc_info=True)
