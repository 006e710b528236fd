"""Ingestion: takes recordings from uploads, the hot folder and the partners' S3 inbox.

Every recording is converted to 16 kHz mono WAV, stored under its checksum, registered and announced to the recogniser.
"""
import asyncio
import glob
import hashlib
import os
import re
import shutil
import tempfile
import uuid
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timezone
from typing import Annotated

import redis.asyncio
from fastapi import FastAPI, File, Form, HTTPException, UploadFile
from minio import Minio
from minio.commonconfig import CopySource

from audio import ConversionError, to_wav
from events import EventBus
from metadata_client import MetadataClient

AUDIO_BUCKET = os.getenv("AUDIO_BUCKET", "audio")
INBOX_BUCKET = os.getenv("INBOX_BUCKET", "inbox")
HOT_FOLDER = os.environ["HOT_FOLDER"]
PROCESSED_FOLDER = os.environ["PROCESSED_FOLDER"]
HOT_POLL_SECONDS = float(os.getenv("HOT_POLL_SECONDS", "5"))
S3_POLL_SECONDS = 30
REJECTED_PREFIX = "rejected/"
AUDIO_EXTENSIONS = (".wav", ".mp3", ".m4a", ".flac")
PART_SIZE = 10 * 1024 * 1024

s3 = Minio(
    os.environ["S3_ENDPOINT"],
    access_key=os.environ["S3_ACCESS_KEY"],
    secret_key=os.environ["S3_SECRET_KEY"],
    secure=os.getenv("S3_SECURE", "true") == "true",
)
bus = EventBus(redis.asyncio.from_url(os.environ["REDIS_URL"], socket_timeout=5))
metadata = MetadataClient(os.environ["METADATA_URL"])
Speaker = Annotated[str, Form(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]

_imports: set[asyncio.Task] = set()
_busy: set[str] = set()


@asynccontextmanager
async def lifespan(_app: FastAPI):
    watchers = [asyncio.create_task(watch_local()), asyncio.create_task(watch_s3())]
    yield
    for task in [*watchers, *_imports]:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    await metadata.close()
    await bus.close()


app = FastAPI(title="ingestion", lifespan=lifespan)


@app.get("/health")
def health():
    return {"status": "healthy", "service": "ingestion", "imports_running": len(_imports)}


# --- uploads ---------------------------------------------------------------

@app.post("/upload", status_code=202)
def upload(file: Annotated[UploadFile, File()], speaker: Speaker = "unknown"):
    """Park an upload in the inbox, from where it is imported like the partners' files."""
    key = f"uploads/{speaker}/{uuid.uuid4()}-{_plain_name(file.filename)}"
    s3.put_object(INBOX_BUCKET, key, file.file, length=-1, part_size=PART_SIZE)
    return {"key": key}


@app.post("/import", status_code=202)
async def import_now(key: Annotated[str, Form(pattern=r"^uploads/[A-Za-z0-9._/-]{1,200}$")]):
    """Import one uploaded object now, without waiting for the next round."""
    if len(_imports) >= 8:
        raise HTTPException(429, "too many imports are running")
    task = asyncio.create_task(_guarded_import(key))
    _imports.add(task)
    task.add_done_callback(_imports.discard)
    return {"key": key}


async def _guarded_import(key: str) -> None:
    try:
        await handle_s3_object(key)
    except Exception as e:
        print(f"[ERROR] Import of {key} failed: {e!r}")


def _plain_name(name: str | None) -> str:
    return re.sub(r"[^A-Za-z0-9.-]+", "_", os.path.basename(name or "audio"))[-80:]


# --- storing and announcing -----------------------------------------------

def _store(source: str) -> tuple[str, float]:
    """Convert a local file and put it into the audio bucket; returns (object key, seconds)."""
    work = tempfile.mkdtemp(prefix="ingest-")
    try:
        wav = os.path.join(work, "audio.wav")
        duration = to_wav(source, wav)
        with open(wav, "rb") as fh:
            key = f"{hashlib.file_digest(fh, 'sha256').hexdigest()}.wav"
        s3.fput_object(AUDIO_BUCKET, key, wav, content_type="audio/wav")
        return key, duration
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _store_inbox_object(key: str) -> tuple[str, float]:
    tmp = "/tmp/__inbox_import"
    s3.fget_object(INBOX_BUCKET, key, tmp)
    return _store(tmp)


def _reject(key: str) -> None:
    s3.copy_object(INBOX_BUCKET, REJECTED_PREFIX + key, CopySource(INBOX_BUCKET, key))
    s3.remove_object(INBOX_BUCKET, key)


async def _announce(object_key: str, duration: float, source: str, name: str) -> None:
    recording = {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, object_key)),
        "object_key": object_key,
        "source": source,
        "original_name": name,
        "duration_seconds": round(duration, 3),
    }
    await metadata.create_recording(recording)
    await bus.ingested(recording["id"], object_key, duration)
    print(f"[INFO] Ingested {name} as {object_key}")


def _retire(file_path: str) -> None:
    """Move an ingested file out of the hot folder; the same name may come again tomorrow."""
    os.makedirs(PROCESSED_FOLDER, exist_ok=True)
    stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S%f")
    shutil.move(file_path, os.path.join(PROCESSED_FOLDER, f"{stamp}-{os.path.basename(file_path)}"))


# --- the two ways in -------------------------------------------------------

def _hot_files() -> list[str]:
    files: list[str] = []
    for extension in AUDIO_EXTENSIONS:
        pattern = os.path.join(HOT_FOLDER, "**", f"*{extension}")
        files += glob.glob(pattern, recursive=True)
    return sorted(files)


async def handle_local_file(file_path: str) -> None:
    """Ingest one file of the hot folder."""
    key, duration = await asyncio.to_thread(_store, file_path)
    await _announce(key, duration, "hot-folder", os.path.basename(file_path))
    await asyncio.to_thread(_retire, file_path)


async def scan_hot_folder() -> None:
    """One pass over the hot folder."""
    files = await asyncio.to_thread(_hot_files)
    for file_path in files:
        try:
            await handle_local_file(file_path)
        except Exception as e:
            print(f"[ERROR] Failed to process {file_path}: {e}")


async def watch_s3() -> None:
    """Import what partners and uploads put into the inbox bucket."""
    while True:
        try:
            found = await asyncio.to_thread(lambda: list(s3.list_objects(INBOX_BUCKET, recursive=True)))
            for item in found:
                if item.object_name.startswith(REJECTED_PREFIX):
                    continue
                try:
                    await handle_s3_object(item.object_name)
                except Exception as e:
                    print(f"[ERROR] Failed to import {item.object_name}: {e}")
        except Exception as e:
            print(f"[ERROR] Inbox cannot be listed: {e}")
        await asyncio.sleep(S3_POLL_SECONDS)


async def handle_s3_object(key: str) -> None:
    """Import one object of the inbox; a no-op while the same object is being imported already."""
    if key in _busy:
        return
    _busy.add(key)
    try:
        audio_key, duration = await asyncio.to_thread(_store_inbox_object, key)
        await _announce(audio_key, duration, "inbox", os.path.basename(key))
        await asyncio.to_thread(s3.remove_object, INBOX_BUCKET, key)
    except ConversionError as e:
        print(f"[WARNING] {key} is no audio, rejected: {e}")
        await asyncio.to_thread(_reject, key)
        await bus.rejected(key, str(e))
    finally:
        _busy.discard(key)


async def watch_local() -> None:
    """Import what people drop into the hot folder."""
    while True:
        await scan_hot_folder()
        await asyncio.sleep(HOT_POLL_SECONDS)
