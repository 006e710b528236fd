"""JSON lines for exports; orjson makes them faster where it is installed."""
import json
from datetime import datetime
from typing import Any

try:
    import orjson
except ImportError:
    orjson = None


def _encode(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} cannot be exported")


def dump_line(row: Any) -> bytes:
    if orjson is not None:
        return orjson.dumps(row, default=_encode) + b"\n"
    return json.dumps(row, default=_encode, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
