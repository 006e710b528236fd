"""Downloads of the unlocked profiles."""
import csv
import io
from typing import Any, Dict, Iterator

from fastapi import APIRouter, Depends, Response
from sqlalchemy.orm import Session

from app.api.deps import get_db
from app.core.serialization import dump_line
from app.database.models import User
from app.middleware.auth_middleware import get_current_active_user
from app.services.unlock_service import iter_unlocked

router = APIRouter(prefix="/simple/creator/export", tags=["export"])

COLUMNS = ("username", "full_name", "category", "followers_count", "engagement_rate", "ai_analyzed", "unlocked_at")


def _plain(value: Any) -> Any:
    """Spreadsheets would run texts that start like a formula."""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@"):
        return "'" + value
    return value


def csv_lines(rows: Iterator[Dict[str, Any]]) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS)
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _plain(value) for name, value in row.items()})
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()


@router.get("/unlocked.csv")
def export_csv(current_user: User = Depends(get_current_active_user), db: Session = Depends(get_db)) -> Response:
    return Response(
        "".join(csv_lines(iter_unlocked(db, current_user.id))),
        media_type="text/csv",
        headers={"Content-Disposition": 'attachment; filename="unlocked.csv"'},
    )


@router.get("/unlocked.jsonl")
def export_jsonl(current_user: User = Depends(get_current_active_user), db: Session = Depends(get_db)) -> Response:
    lines = [dump_line(row) for row in iter_unlocked(db, current_user.id)]
    return Response(b"".join(lines), media_type="application/x-ndjson")
