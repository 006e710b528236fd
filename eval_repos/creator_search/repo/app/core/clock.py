from datetime import datetime, timezone


def utcnow() -> datetime:
    """Now, aware."""
    return datetime.now(timezone.utc)
