"""Dependencies of the routes."""
from typing import Iterator

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from app.core.config import get_settings


def get_db() -> Iterator[Session]:
    # Own engine for every request, so that nobody gets a stale connection from the pool.
    engine = create_engine(get_settings().database_url)
    session = Session(bind=engine, expire_on_commit=False)
    yield session
    session.close()
