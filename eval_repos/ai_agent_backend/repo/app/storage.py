"""Uploaded files: on the local disk, with a copy in Supabase storage."""

import contextlib
import logging
import shutil
from pathlib import Path
from typing import BinaryIO

import httpx

from app.supabase_client import SupabaseClient, SupabaseUnavailable

logger = logging.getLogger(__name__)

BUCKET = "uploads"


class FileMissing(LookupError):
    """There is no such file in the storage."""


class LocalStorage:
    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root = root.resolve()

    def save_stream(self, name: str, source: BinaryIO) -> Path:
        target = self.root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as sink:
            shutil.copyfileobj(source, sink)
        return target

    def locate(self, name: str) -> Path:
        path = (self.root / name).resolve()
        if not path.is_relative_to(self.root) or not path.is_file():
            raise FileMissing(name)
        return path

    def read_text_head(self, name: str, limit: int) -> bytes:
        with self.locate(name).open("rb") as source:
            return source.read(limit)

    def delete(self, name: str) -> None:
        with contextlib.suppress(FileMissing):
            self.locate(name).unlink()


class StorageService:
    """Saves locally and copies to Supabase; while the copy fails, `degraded` is set and /health shows it."""

    def __init__(self, local: LocalStorage, remote: SupabaseClient) -> None:
        self.local = local
        self.remote = remote
        self.degraded = False

    def save(self, name: str, source: BinaryIO, content_type: str) -> Path:
        path = self.local.save_stream(name, source)
        relative = path.relative_to(self.local.root)
        try:
            with path.open("rb") as stored:
                self.remote.upload(BUCKET, relative.as_posix(), stored, content_type)
        except (SupabaseUnavailable, httpx.HTTPStatusError):
            logger.exception("Supabase storage did not take the copy of %s", relative)
            self.degraded = True
        else:
            self.degraded = False
        return path
