"""The search behind GET /recordings."""
from datetime import datetime, timedelta, timezone
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field

from schemas import Source, Status

COLUMNS = "id, object_key, source, original_name, duration_seconds, status, transcript, created_at"
ORDERS = {
    "newest": "created_at DESC, id",
    "oldest": "created_at, id",
    "longest": "duration_seconds DESC, id",
}


def parse_day(day: str) -> datetime:
    """A day as it comes in the query string, midnight UTC."""
    return datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=timezone.utc)


def _valid_day(day: str | None) -> str | None:
    if day is not None:
        parse_day(day)
    return day


Day = Annotated[str | None, AfterValidator(_valid_day)]


class SearchQuery(BaseModel):
    status: Status | None = None
    source: Source | None = None
    text: str | None = Field(default=None, min_length=2, max_length=100)
    since: Day = None
    until: Day = None
    order: Literal["newest", "oldest", "longest"] = "newest"
    limit: int = Field(default=50, ge=1, le=200)
    offset: int = Field(default=0, ge=0)

    def page(self) -> tuple[str, list]:
        where, params = self._where()
        order = ORDERS[self.order]
        sql = f"SELECT {COLUMNS} FROM recordings{where} ORDER BY {order} LIMIT %s OFFSET %s"
        return sql, [*params, self.limit, self.offset]

    def count(self) -> tuple[str, list]:
        where, params = self._where()
        return f"SELECT count(*) AS total FROM recordings{where}", params

    def _where(self) -> tuple[str, list]:
        conditions: list[str] = []
        params: list = []
        if self.status is not None:
            conditions.append("status = %s")
            params.append(self.status)
        if self.source is not None:
            conditions.append("source = %s")
            params.append(self.source)
        if self.text is not None:
            conditions.append("transcript ILIKE %s")
            params.append(f"%{_escape(self.text)}%")
        if self.since is not None:
            conditions.append("created_at >= %s")
            params.append(parse_day(self.since))
        if self.until is not None:
            conditions.append("created_at < %s")
            params.append(parse_day(self.until) + timedelta(days=1))
        return (" WHERE " + " AND ".join(conditions) if conditions else ""), params


def _escape(text: str) -> str:
    """Text for ILIKE that stands for itself."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
