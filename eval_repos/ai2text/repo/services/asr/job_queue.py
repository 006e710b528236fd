"""Reliable queue in Redis: a job stays in its worker's `working` list until it is settled."""
import json
import logging
from dataclasses import asdict, dataclass, replace

import redis

log = logging.getLogger("asr-worker")


@dataclass(frozen=True)
class Job:
    recording_id: str
    object_key: str
    attempts: int = 0


class JobQueue:
    WAITING = "ai2text:ingested"
    BURIED = "asr:buried"

    def __init__(self, client: redis.Redis, worker: str) -> None:
        self._redis = client
        self._working = f"asr:working:{worker}"
        self._raw: dict[Job, str] = {}

    def reserve(self, timeout: float) -> Job | None:
        """The oldest waiting job, or None when none came within `timeout` seconds."""
        raw = self._redis.blmove(self.WAITING, self._working, timeout, "RIGHT", "LEFT")
        if raw is None:
            return None
        try:
            event = json.loads(raw)
            job = Job(event["recording_id"], event["object_key"], event.get("attempts", 0))
        except (ValueError, KeyError, TypeError) as exc:
            log.error("unreadable event is put aside: %r", exc)
            self._settle(raw, self.BURIED, raw)
            return None
        self._raw[job] = raw
        return job

    def done(self, job: Job) -> None:
        self._redis.lrem(self._working, 1, self._raw.pop(job))

    def retry(self, job: Job) -> None:
        self._move(job, self.WAITING)

    def bury(self, job: Job) -> None:
        self._move(job, self.BURIED)

    def recover(self) -> int:
        """Put the jobs that a killed worker left behind back into the queue."""
        recovered = 0
        while self._redis.lmove(self._working, self.WAITING, "RIGHT", "RIGHT") is not None:
            recovered += 1
        return recovered

    def close(self) -> None:
        self._redis.close()

    def _move(self, job: Job, target: str) -> None:
        again = replace(job, attempts=job.attempts + 1)
        self._settle(self._raw.pop(job), target, json.dumps(asdict(again)))

    def _settle(self, raw: str, target: str, value: str) -> None:
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.lpush(target, value)
            pipe.lrem(self._working, 1, raw)
            pipe.execute()
