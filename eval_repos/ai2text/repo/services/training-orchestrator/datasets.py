"""Manifest lines, train/dev/test splits and the summary of a dataset version."""
import hashlib
import io
import json
import statistics
from collections import Counter

SUMMARY_LIMIT = 64 * 1024
SPLITS = (("test", 5), ("dev", 5), ("train", 90))


def split_of(recording_id: str) -> str:
    """The same recording lands in the same split in every version."""
    bucket = int(hashlib.sha256(recording_id.encode()).hexdigest()[:8], 16) % 100
    for name, share in SPLITS:
        if bucket < share:
            return name
        bucket -= share
    return SPLITS[-1][0]


def manifest_line(recording_id: str, object_key: str, transcript: str, duration: float) -> str:
    entry = {
        "id": recording_id,
        "audio": object_key,
        "text": " ".join(transcript.split()),
        "duration": round(duration, 3),
        "split": split_of(recording_id),
    }
    return json.dumps(entry, ensure_ascii=False)


def summary_of(version: str, lines: list[str], hours: float, previous: dict | None) -> tuple[io.BytesIO, int]:
    """The new summary object: the previous counts plus the lines that were just added."""
    previous = previous or {"items": 0, "splits": {}}
    entries = [json.loads(line) for line in lines]
    splits = Counter(previous["splits"])
    splits.update(entry["split"] for entry in entries)
    summary = {
        "version": version,
        "items": previous["items"] + len(entries),
        "hours": round(hours, 4),
        "splits": dict(splits),
        "last_batch": batch_statistics(entries),
    }
    body = json.dumps(summary).encode()
    return io.BytesIO(body), len(body)


def batch_statistics(entries: list[dict]) -> dict:
    durations = sorted(entry["duration"] for entry in entries)
    if not durations:
        return {"count": 0}
    return {
        "count": len(durations),
        "shortest": durations[0],
        "longest": durations[-1],
        "mean": round(sum(durations) / len(durations), 3),
        "median": round(statistics.median(durations), 3),
    }
