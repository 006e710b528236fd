"""Video jobs: the API checks the clips and writes a job file, video_worker renders it."""

import contextlib
import json
import os
import subprocess
import tempfile
import uuid
from datetime import datetime
from pathlib import Path

import imageio_ffmpeg

from app.storage import LocalStorage
from app.text_processing import slugify_title

MAX_SECONDS = 180.0


class ClipRejected(ValueError):
    """The clips cannot be made into a video."""


def probe_duration(path: Path) -> float:
    from moviepy import VideoFileClip

    clip = VideoFileClip(str(path))
    try:
        return float(clip.duration)
    finally:
        clip.close()


def thumbnail(path: Path, storage: LocalStorage, name: str) -> Path:
    """The first frame of a clip as a JPEG in the storage."""
    with tempfile.TemporaryDirectory(prefix="thumbnail-") as folder:
        frame = Path(folder) / "frame.jpg"
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-frames:v", "1", str(frame)]
        subprocess.run(command, check=True, timeout=60, capture_output=True)
        with frame.open("rb") as source:
            return storage.save_stream(name, source)


def _write_job(folder: Path, job_id: str, job: dict) -> Path:
    """The worker must never see half a file: write beside it, then rename."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{job_id}.json"
    descriptor, temporary = tempfile.mkstemp(dir=folder, suffix=".part")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as sink:
            json.dump(job, sink)
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    return target


def create_job(storage: LocalStorage, jobs_dir: Path, user_id: int, title: str, clips: list[str]) -> tuple[str, float]:
    paths = [storage.locate(f"{user_id}/{Path(name).name}") for name in clips]
    seconds = sum(probe_duration(path) for path in paths)
    if seconds > MAX_SECONDS:
        raise ClipRejected(f"The clips have {seconds:.0f} seconds, the limit is {MAX_SECONDS:.0f}")
    job_id = f"{slugify_title(title)}-{uuid.uuid4().hex[:8]}"
    thumbnail(paths[0], storage, f"{user_id}/{job_id}.jpg")
    job = {
        "id": job_id,
        "title": title,
        "clips": [str(path) for path in paths],
        "output": str(storage.root / str(user_id) / f"{job_id}.mp4"),
        "created_at": datetime.now().astimezone().isoformat(),
    }
    _write_job(jobs_dir, job_id, job)
    return job_id, seconds
