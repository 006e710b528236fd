"""The local database: users, documents, messages, usage, and a copy of the agent profiles."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Boolean, Column, ForeignKey, Integer, MetaData, String, Table, Text, create_engine, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from app.models import DocumentRecord, MessageRecord, Plan, UsageRecord, UserRecord

if TYPE_CHECKING:
    from app.agents import AgentProfile

metadata = MetaData()

users = Table(
    "users",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("email", String(254), nullable=False, unique=True),
    Column("password_hash", String(200), nullable=False),
    Column("plan", String(20), nullable=False, default=Plan.FREE.value),
)
documents = Table(
    "documents",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("user_id", ForeignKey("users.id"), nullable=False, index=True),
    Column("title", String(200), nullable=False),
    Column("path", String(400), nullable=False),
    Column("mime", String(100), nullable=False),
)
messages = Table(
    "messages",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("user_id", ForeignKey("users.id"), nullable=False, index=True),
    Column("agent", String(64), nullable=False),
    Column("role", String(16), nullable=False),
    Column("content", Text, nullable=False),
)
usage_events = Table(
    "usage_events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("user_id", ForeignKey("users.id"), nullable=False, index=True),
    Column("kind", String(32), nullable=False),
    Column("tokens", Integer, nullable=False),
    Column("created_at", String(40), nullable=False),
    Column("flushed", Boolean, nullable=False, default=False),
)
agent_copies = Table(
    "agent_copies",
    metadata,
    Column("slug", String(64), primary_key=True),
    Column("profile", Text, nullable=False),
)


class EmailTaken(ValueError):
    """There is an account with this address."""


class Database:
    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.engine = create_engine(f"sqlite:///{path}", pool_pre_ping=True)
        metadata.create_all(self.engine)

    def close(self) -> None:
        self.engine.dispose()

    # users
    def create_user(self, email: str, password_hash: str, plan: Plan = Plan.FREE) -> UserRecord:
        try:
            with self.engine.begin() as connection:
                result = connection.execute(insert(users).values(email=email, password_hash=password_hash, plan=plan.value))
        except IntegrityError as error:
            raise EmailTaken("There is already an account with this address") from error
        return UserRecord(id=result.inserted_primary_key[0], email=email, password_hash=password_hash, plan=plan)

    def _one_user(self, condition) -> UserRecord | None:
        with self.engine.connect() as connection:
            row = connection.execute(select(users).where(condition)).mappings().first()
        return UserRecord(**row) if row is not None else None

    def get_user(self, user_id: int) -> UserRecord | None:
        return self._one_user(users.c.id == user_id)

    def get_user_by_email(self, email: str) -> UserRecord | None:
        return self._one_user(users.c.email == email)

    def count_users(self) -> int:
        with self.engine.connect() as connection:
            return connection.execute(select(func.count()).select_from(users)).scalar_one()

    def set_plan(self, user_id: int, plan: Plan) -> bool:
        with self.engine.begin() as connection:
            return connection.execute(update(users).where(users.c.id == user_id).values(plan=plan.value)).rowcount == 1

    # documents
    def add_document(self, user_id: int, title: str, path: str, mime: str) -> DocumentRecord:
        with self.engine.begin() as connection:
            result = connection.execute(insert(documents).values(user_id=user_id, title=title, path=path, mime=mime))
        return DocumentRecord(id=result.inserted_primary_key[0], user_id=user_id, title=title, path=path, mime=mime)

    def list_documents(self, user_id: int) -> list[DocumentRecord]:
        with self.engine.connect() as connection:
            rows = connection.execute(select(documents).where(documents.c.user_id == user_id).order_by(documents.c.id)).mappings().all()
        return [DocumentRecord(**row) for row in rows]

    # messages
    def add_messages(self, user_id: int, agent: str, entries: list[MessageRecord]) -> None:
        rows = [{"user_id": user_id, "agent": agent, "role": entry.role, "content": entry.content} for entry in entries]
        with self.engine.begin() as connection:
            connection.execute(insert(messages), rows)

    def recent_messages(self, user_id: int, agent: str, limit: int) -> list[MessageRecord]:
        query = (
            select(messages.c.role, messages.c.content)
            .where(messages.c.user_id == user_id, messages.c.agent == agent)
            .order_by(messages.c.id.desc())
            .limit(limit)
        )
        with self.engine.connect() as connection:
            rows = connection.execute(query).mappings().all()
        return [MessageRecord(**row) for row in reversed(rows)]

    # usage
    def add_usage(self, user_id: int, kind: str, tokens: int, created_at: str) -> None:
        with self.engine.begin() as connection:
            connection.execute(insert(usage_events).values(user_id=user_id, kind=kind, tokens=tokens, created_at=created_at))

    def usage_of(self, user_id: int | None = None, unflushed_only: bool = False) -> list[UsageRecord]:
        columns = [usage_events.c[name] for name in ("id", "user_id", "kind", "tokens", "created_at")]
        query = select(*columns).order_by(usage_events.c.id)
        if user_id is not None:
            query = query.where(usage_events.c.user_id == user_id)
        if unflushed_only:
            query = query.where(usage_events.c.flushed.is_(False))
        with self.engine.connect() as connection:
            return [UsageRecord(**row) for row in connection.execute(query).mappings()]

    def mark_flushed(self, usage_id: int) -> None:
        with self.engine.begin() as connection:
            connection.execute(update(usage_events).where(usage_events.c.id == usage_id).values(flushed=True))

    # agents
    def save_agent_copy(self, profile: "AgentProfile") -> None:
        text = json.dumps(profile.as_dict())
        with self.engine.begin() as connection:
            changed = connection.execute(update(agent_copies).where(agent_copies.c.slug == profile.slug).values(profile=text))
            if changed.rowcount == 0:
                connection.execute(insert(agent_copies).values(slug=profile.slug, profile=text))

    def load_agent_copy(self, slug: str) -> dict | None:
        with self.engine.connect() as connection:
            row = connection.execute(select(agent_copies.c.profile).where(agent_copies.c.slug == slug)).first()
        return json.loads(row[0]) if row is not None else None
