"""Logging of the API: everything goes to logs/app.log, which the log shipper tails."""

import json
import logging
from datetime import datetime
from pathlib import Path

try:
    import orjson
except ImportError:

    def _dumps(payload: dict) -> str:
        return json.dumps(payload, default=str, ensure_ascii=False)

else:

    def _dumps(payload: dict) -> str:
        return orjson.dumps(payload, default=str).decode()


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        payload = {
            "timestamp": datetime.utcfromtimestamp(record.created).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": getattr(record, "request_id", None),
        }
        if record.exc_info:
            payload["exception"] = self.formatException(record.exc_info)
        return _dumps(payload)


def _replace_handlers(logger: logging.Logger, handler: logging.Handler) -> None:
    for old in list(logger.handlers):
        logger.removeHandler(old)
        old.close()
    logger.addHandler(handler)


def configure_logging(log_file: Path) -> None:
    log_file.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(log_file, encoding="utf-8")
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("app")
    logger.setLevel(logging.INFO)
    _replace_handlers(logger, handler)
    quiet_sentry_breadcrumbs("app.access")


def configure_access_log(log_file: Path) -> None:
    handler = logging.FileHandler(log_file, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s [%(name)s] %(message)s"))
    logger = logging.getLogger("app.access")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    _replace_handlers(logger, handler)


def quiet_sentry_breadcrumbs(*names: str) -> None:
    """One breadcrumb a request is noise: keep the access log out of Sentry."""
    try:
        from sentry_sdk.integrations.logging import ignore_logger
    except ImportError:
        logging.getLogger(__name__).info("sentry-sdk is not installed, no breadcrumbs to quiet")
        return
    for name in names:
        ignore_logger(name)
