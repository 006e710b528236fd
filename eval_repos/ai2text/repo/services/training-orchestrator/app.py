"""Training orchestrator: collects reviewed recordings into dataset versions and queues training runs."""
import json
import logging
import os
import threading
import uuid
from contextlib import asynccontextmanager
from typing import Annotated

import redis
from fastapi import FastAPI, File, Form, HTTPException, Path, UploadFile
from minio import Minio
from minio.error import S3Error
from pydantic import BaseModel, Field

from datasets import SUMMARY_LIMIT, manifest_line, summary_of
from runs import RunQueue, Stage

logging.basicConfig(level=os.getenv("LOG_LEVEL", "INFO"))
log = logging.getLogger("training-orchestrator")

DATASET_BUCKET = os.getenv("DATASET_BUCKET", "datasets")
AUDIO_BUCKET = os.getenv("AUDIO_BUCKET", "audio")
MIN_TRAIN_HOURS = float(os.getenv("MIN_TRAIN_HOURS", "1.0"))
CLIP_PART_SIZE = 10 * 1024 * 1024

s3 = Minio(
    os.environ["S3_ENDPOINT"],
    access_key=os.environ["S3_ACCESS_KEY"],
    secret_key=os.environ["S3_SECRET_KEY"],
    secure=os.getenv("S3_SECURE", "true") == "true",
)
runs = RunQueue(redis.Redis.from_url(os.environ["REDIS_URL"], socket_timeout=5, decode_responses=True))
_manifest_lock = threading.Lock()

Version = Annotated[str, Path(pattern=r"^v\d{1,4}$")]


@asynccontextmanager
async def lifespan(_app: FastAPI):
    yield
    runs.close()


app = FastAPI(title="training-orchestrator", lifespan=lifespan)


# --- audio and manifests ---------------------------------------------------

def _wav_dur(bucket, key)->float:
    tmp="/tmp/__dur.wav"
    s3.fget_object(bucket, key, tmp)
    with wave.open(tmp,"rb") as w:
        frames, rate = w.getnframes(), w.getframerate()
    return frames/float(rate) if rate else 0.0


def _manifest_key(version)->str:
    return f"manifests/{version}.jsonl"


def _summary(version)->dict | None:
    """The small summary object that is written next to every manifest; None for an unknown version."""
    try:
        response=s3.get_object(DATASET_BUCKET, f"manifests/{version}.summary.json")
    except S3Error as exc:
        if exc.code == "NoSuchKey": return None
        raise
    try: return json.loads(response.read(SUMMARY_LIMIT))
    finally: response.close(); response.release_conn()


def _append_manifest(version, lines)->float:
    """Append manifest lines to a dataset version and return the hours it has now."""
    key=_manifest_key(version)
    tmp="/tmp/__manifest.jsonl"
    # the first batch of a version has no manifest to extend
    try: s3.fget_object(DATASET_BUCKET, key, tmp)
    except: open(tmp,"wb").close()
    with open(tmp,"a",encoding="utf-8") as fh:
        fh.writelines(line+"\n" for line in lines)
    s3.fput_object(DATASET_BUCKET, key, tmp, content_type="application/x-ndjson")
    with open(tmp,encoding="utf-8") as fh:
        return _total_hours(fh)


def _total_hours(manifest)->float:
    hours=0.0
    for ln in manifest:
        # annotators edit manifests by hand now and then
        try: hours+=json.loads(ln).get("duration",0.0)/3600.0
        except: pass
    return hours


# --- API -------------------------------------------------------------------

class Item(BaseModel):
    recording_id: uuid.UUID
    object_key: str = Field(min_length=1, max_length=512)
    transcript: str = Field(min_length=1, max_length=20_000)


class RunRequest(BaseModel):
    version: str = Field(pattern=r"^v\d{1,4}$")
    base_model: str = Field(default="whisper-small", pattern=r"^[a-z0-9][a-z0-9.-]{1,63}$")
    epochs: int = Field(default=3, ge=1, le=50)


@app.get("/health")
def health():
    return {"status": "healthy", "service": "training-orchestrator"}


@app.post("/datasets/{version}/items")
def add_items(version: Version, items: list[Item]):
    """Add reviewed recordings to a version; recordings whose audio is gone are listed as skipped."""
    lines, skipped = [], []
    for item in items:
        try:
            duration = _wav_dur(AUDIO_BUCKET, item.object_key)
        except S3Error as exc:
            log.warning("no audio for recording %s: %s", item.recording_id, exc.code)
            skipped.append(str(item.recording_id))
            continue
        lines.append(manifest_line(str(item.recording_id), item.object_key, item.transcript, duration))
    if not lines:
        return {"version": version, "added": 0, "skipped": skipped}
    with _manifest_lock:
        hours = _append_manifest(version, lines)
        _write_summary(version, lines, hours)
    return {"version": version, "added": len(lines), "skipped": skipped, "hours": round(hours, 4)}


@app.post("/datasets/{version}/clips", status_code=201)
def add_clip(version: Version, transcript: Annotated[str, Form(min_length=1)], file: Annotated[UploadFile, File()]):
    """Add a studio clip that never went through ingestion."""
    clip_id = uuid.uuid4()
    key = f"clips/{version}/{clip_id}.wav"
    s3.put_object(DATASET_BUCKET, key, file.file, length=-1, part_size=CLIP_PART_SIZE, content_type="audio/wav")
    line = manifest_line(str(clip_id), key, transcript, _wav_dur(DATASET_BUCKET, key))
    with _manifest_lock:
        hours = _append_manifest(version, [line])
        _write_summary(version, [line], hours)
    return {"version": version, "object_key": key, "hours": round(hours, 4)}


def _write_summary(version, lines, hours):
    body, length = summary_of(version, lines, hours, previous=_summary(version))
    s3.put_object(DATASET_BUCKET, f"manifests/{version}.summary.json", body, length, content_type="application/json")


@app.get("/datasets/{version}")
def get_dataset(version: Version):
    summary = _summary(version)
    if summary is None:
        raise HTTPException(404, "no such dataset version")
    return summary


@app.post("/runs", status_code=202)
def start_run(body: RunRequest):
    summary = _summary(body.version)
    if summary is None:
        raise HTTPException(404, "no such dataset version")
    if summary["hours"] < MIN_TRAIN_HOURS:
        raise HTTPException(409, f"{body.version} has less than {MIN_TRAIN_HOURS} h of audio")
    run_id = runs.enqueue(body.version, body.base_model, body.epochs)
    log.info("run %s queued for %s", run_id, body.version)
    return {"run_id": run_id, "stage": Stage.QUEUED.name}


@app.get("/runs/{run_id}")
def get_run(run_id: uuid.UUID):
    run = runs.get(str(run_id))
    if run is None:
        raise HTTPException(404, "no such run")
    return run
