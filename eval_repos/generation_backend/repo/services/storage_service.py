"""Copies the outputs of FAL.ai into the Supabase bucket."""
import asyncio
import logging
import tempfile
from typing import Any, BinaryIO, Dict, List, Tuple

import requests

from config import get_settings
from database import Database, db
from errors import StorageError

logger = logging.getLogger(__name__)

EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "video/mp4": "mp4"}
CHUNK_SIZE = 256 * 1024
PROBE_OPTIONS: Dict[str, Any] = {"timeout": 10, "allow_redirects": True}


class StorageService:
    def __init__(self, database: Database = db) -> None:
        self.db = database

    async def _get_storage_client(self) -> Any:
        client = self.db.require_client()
        return client.storage.from_(get_settings().storage_bucket)

    def _probe(self, url: str) -> str:
        """Content type of an output, after checking that we accept its type and size."""
        response = requests.head(url, **PROBE_OPTIONS)
        response.raise_for_status()
        content_type = response.headers.get("Content-Type", "").split(";")[0].strip().lower()
        if content_type not in EXTENSIONS:
            raise StorageError(f"Unexpected content type {content_type!r}")
        size = int(response.headers.get("Content-Length", "0"))
        if size > get_settings().max_output_bytes:
            raise StorageError(f"Output of {size} bytes is too large")
        return content_type

    def _download(self, url: str, target: BinaryIO) -> int:
        limit = get_settings().max_output_bytes
        written = 0
        with requests.get(url, stream=True) as response:
            response.raise_for_status()
            for chunk in response.iter_content(CHUNK_SIZE):
                written += len(chunk)
                if written > limit:
                    raise StorageError(f"Output is larger than {limit} bytes")
                target.write(chunk)
        target.seek(0)
        return written

    def _fetch(self, url: str, target: BinaryIO) -> Tuple[str, int]:
        try:
            content_type = self._probe(url)
            return content_type, self._download(url, target)
        except requests.RequestException as error:
            raise StorageError(f"Could not download the output: {type(error).__name__}") from error

    async def store_from_url(self, url: str, user_id: str, generation_id: str, index: int) -> str:
        """Copy one output into the bucket and return its path there."""
        with tempfile.TemporaryFile(prefix="output-") as buffer:
            content_type, size = await asyncio.to_thread(self._fetch, url, buffer)
            path = f"{user_id}/{generation_id}/{index}.{EXTENSIONS[content_type]}"
            bucket = await self._get_storage_client()
            try:
                await bucket.upload(path, buffer, {"content-type": content_type, "upsert": "true"})
            except Exception as error:
                raise StorageError(f"Could not upload {path}") from error
        logger.info("[STORAGE] Stored %d bytes for generation %s", size, generation_id)
        return path

    async def signed_urls(self, paths: List[str], expires_in: int = 3600) -> List[str]:
        if not paths:
            return []
        bucket = await self._get_storage_client()
        entries = await bucket.create_signed_urls(paths, expires_in)
        return [entry["signedURL"] for entry in entries]

    async def delete_files(self, paths: List[str]) -> int:
        """Remove the files of a deleted generation; returns how many are gone."""
        bucket = await self._get_storage_client()
        removed = 0
        for path in paths:
            try:
                await bucket.remove([path])
            except Exception:
                continue
            removed += 1
        return removed


storage_service = StorageService()
