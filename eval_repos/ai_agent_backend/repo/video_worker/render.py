"""Render one job: python -m video_worker.render JOB.json

Started by a systemd path unit for each new file in VIDEO_JOBS_DIR; the job file is removed when the video is there.
"""

import argparse
import contextlib
import json
import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path

logger = logging.getLogger("video_worker")


class JobInvalid(ValueError):
    """The job file is not complete."""


@dataclass(frozen=True)
class Job:
    id: str
    title: str
    clips: list[Path]
    output: Path


def load_job(path: Path) -> Job:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        job = Job(data["id"], data["title"], [Path(clip) for clip in data["clips"]], Path(data["output"]))
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise JobInvalid(f"{path.name} is not a job") from error
    if not job.clips:
        raise JobInvalid(f"{path.name} has no clips")
    return job


def render(job: Job) -> Path:
    from moviepy.editor import VideoFileClip, concatenate_videoclips

    threads = int(os.getenv("RENDER_THREADS", "2"))
    partial = job.output.with_suffix(".part.mp4")
    with contextlib.ExitStack() as stack:
        clips = []
        for path in job.clips:
            clip = VideoFileClip(str(path))
            stack.callback(clip.close)
            clips.append(clip)
        film = concatenate_videoclips(clips, method="compose")
        stack.callback(film.close)
        try:
            film.write_videofile(str(partial), codec="libx264", audio_codec="aac", threads=threads, logger=None)
            os.replace(partial, job.output)
        finally:
            partial.unlink(missing_ok=True)
    logger.info("Job %s: %d clips rendered", job.id, len(clips))
    return job.output


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", type=Path)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    try:
        render(load_job(options.job))
    except JobInvalid:
        logger.exception("Job refused")
        return 2
    options.job.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
