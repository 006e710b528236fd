"""Queue and state of training runs in Redis."""
import json
import uuid
from datetime import datetime, timezone
from enum import Enum

import redis

Stage = Enum("Stage", "QUEUED PREPARING TRAINING SCORING DONE FAILED")

RUN_TTL = 90 * 24 * 3600
FINAL = frozenset({Stage.DONE, Stage.FAILED})


class RunQueue:
    QUEUE = "training:queue"

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client

    def enqueue(self, version: str, base_model: str, epochs: int) -> str:
        run_id = str(uuid.uuid4())
        run = {
            "run_id": run_id,
            "version": version,
            "base_model": base_model,
            "epochs": epochs,
            "stage": Stage.QUEUED.name,
            "created_at": datetime.now(timezone.utc).isoformat(),
        }
        self._redis.set(self._key(run_id), json.dumps(run), ex=RUN_TTL)
        self._redis.lpush(self.QUEUE, run_id)
        return run_id

    def get(self, run_id: str) -> dict | None:
        stored = self._redis.get(self._key(run_id))
        if stored is None:
            return None
        run = json.loads(stored)
        run["finished"] = Stage[run["stage"]] in FINAL
        return run

    def close(self) -> None:
        self._redis.close()

    @staticmethod
    def _key(run_id: str) -> str:
        return f"training:run:{run_id}"
