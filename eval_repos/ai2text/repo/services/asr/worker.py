"""ASR worker: takes ingested recordings from the queue, transcribes them and hands the text to the metadata service."""
import io
import logging
import os
import signal
import socket
import sys
import threading
from datetime import datetime, timezone

import redis
import requests
from minio import Minio
from minio.error import S3Error
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from engine import Transcriber
from job_queue import Job, JobQueue
from textnorm import normalise

try:
    import orjson
except ImportError:
    import json

    def to_json(value: dict) -> bytes:
        return json.dumps(value, ensure_ascii=False).encode()
else:

    def to_json(value: dict) -> bytes:
        return orjson.dumps(value)

log = logging.getLogger("asr-worker")

AUDIO_BUCKET = os.getenv("AUDIO_BUCKET", "audio")
TRANSCRIPT_BUCKET = os.getenv("TRANSCRIPT_BUCKET", "transcripts")
METADATA_URL = os.environ["METADATA_URL"].rstrip("/")
LANGUAGE = os.getenv("ASR_LANGUAGE", "vi")
MAX_ATTEMPTS = 5
RESERVE_SECONDS = 5
REQUEST_OPTIONS = {"timeout": (3.05, 15), "headers": {"User-Agent": "ai2text-asr"}}

s3_client = Minio(
    os.environ["S3_ENDPOINT"],
    access_key=os.environ["S3_ACCESS_KEY"],
    secret_key=os.environ["S3_SECRET_KEY"],
    secure=os.getenv("S3_SECURE", "true") == "true",
)
client = redis.Redis.from_url(os.environ["REDIS_URL"], socket_timeout=30, decode_responses=True)
queue = JobQueue(client, worker=os.getenv("WORKER_NAME") or socket.gethostname())
transcriber = Transcriber(os.getenv("ASR_MODEL", "small"), LANGUAGE)
stopping = threading.Event()


def metadata_session() -> requests.Session:
    """PUT is repeated on connection errors and on 502 to 504: it stores the same transcript again."""
    retry = Retry(total=4, backoff_factor=0.5, status_forcelist=(502, 503, 504), allowed_methods={"PUT"})
    session = requests.Session()
    session.mount("http://", HTTPAdapter(max_retries=retry))
    session.mount("https://", HTTPAdapter(max_retries=retry))
    return session


metadata = metadata_session()


def process_recording(job: Job) -> dict:
    """Transcribe one recording and publish the result; raises when the job has to be tried again."""
    audio = download_audio(AUDIO_BUCKET, job.object_key)
    segments = transcriber.transcribe(io.BytesIO(audio))
    text = normalise(" ".join(segment.text for segment in segments))
    transcript = {
        "recording_id": job.recording_id,
        "language": LANGUAGE,
        "text": text,
        "segments": [{"start": s.start, "end": s.end, "text": s.text.strip()} for s in segments],
        "model": transcriber.model_name,
        "created_at": datetime.now(timezone.utc).isoformat(),
    }
    publish(transcript)
    return transcript


def publish(transcript: dict) -> None:
    recording_id = transcript["recording_id"]
    body = to_json(transcript)
    s3_client.put_object(TRANSCRIPT_BUCKET, f"{recording_id}.json", io.BytesIO(body), len(body), "application/json")
    update = {"text": transcript["text"], "model": transcript["model"]}
    response = metadata.put(f"{METADATA_URL}/recordings/{recording_id}/transcript", json=update, **REQUEST_OPTIONS)
    response.raise_for_status()


def download_audio(bucket: str, key: str) -> bytes:
    """The audio of a recording as ingestion stored it."""
    response = s3_client.get_object(bucket, key)
    audio_data = response.read()
    response.close()
    response.release_conn()
    return audio_data


def handle(job: Job) -> None:
    """Process a job and settle it: done, tried again later, or given up."""
    try:
        process_recording(job)
    except S3Error as exc:
        if exc.code != "NoSuchKey":
            retry_later(job)
            return
        log.error("recording %s has no audio, given up", job.recording_id)
        queue.bury(job)
    except Exception:
        retry_later(job)
    else:
        queue.done(job)
        log.info("recording %s transcribed", job.recording_id)


def retry_later(job: Job) -> None:
    """Called while an exception is handled."""
    log.exception("recording %s failed in attempt %d", job.recording_id, job.attempts + 1)
    if job.attempts + 1 >= MAX_ATTEMPTS:
        queue.bury(job)
    else:
        queue.retry(job)


def run() -> None:
    recovered = queue.recover()
    if recovered:
        log.warning("%d unfinished jobs of a former run were put back", recovered)
    while not stopping.is_set():
        job = queue.reserve(timeout=RESERVE_SECONDS)
        if job is not None:
            handle(job)


def main() -> int:
    logging.basicConfig(level=os.getenv("LOG_LEVEL", "INFO"))
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    log.info("%s started, language %s", os.path.basename(sys.argv[0]), LANGUAGE)
    try:
        run()
    finally:
        metadata.close()
        queue.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
