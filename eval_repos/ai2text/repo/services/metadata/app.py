"""Metadata service: what is known about every recording, its transcript and its review."""
import csv
import io
import logging
import os
import uuid
from contextlib import closing
from pathlib import Path
from typing import Annotated

import psycopg2
import psycopg2.extras
from fastapi import FastAPI, File, Header, HTTPException, Query, UploadFile
from fastapi.responses import FileResponse

from exports import ExportStore
from schemas import Correction, NewRecording, Page, RecordingOut, TranscriptIn
from search import SearchQuery

logging.basicConfig(level=os.getenv("LOG_LEVEL", "INFO"))
log = logging.getLogger("metadata")

DB_URL = os.environ["DB_URL"]
MAX_IMPORT_BYTES = 2 * 1024 * 1024
CSV_TYPES = {"text/csv", "application/vnd.ms-excel"}

exports = ExportStore(Path(os.environ["EXPORT_DIR"]))
app = FastAPI(title="metadata")

Actor = Annotated[str, Header(alias="x-user-id", min_length=1, max_length=64)]


def get_db_connection():
    return psycopg2.connect(DB_URL, connect_timeout=5, cursor_factory=psycopg2.extras.RealDictCursor)


def _log_event(cur, recording_id, kind: str, actor: str) -> None:
    cur.execute(
        "INSERT INTO recording_events (recording_id, kind, actor) VALUES (%s, %s, %s)",
        (str(recording_id), kind, actor),
    )


@app.get("/health")
def health():
    return {"status": "healthy", "service": "metadata", "exports_survive_restart": exports.survives_restart}


# --- recordings ------------------------------------------------------------

@app.post("/recordings", status_code=201)
def create_recording(body: NewRecording, actor: Actor = "ingestion"):
    """Register a recording; ingestion repeats the call after a timeout, the second one changes nothing."""
    with get_db_connection() as conn:
        with conn.cursor() as cur:
            cur.execute(
                "INSERT INTO recordings (id, object_key, source, original_name, duration_seconds) "
                "VALUES (%s, %s, %s, %s, %s) ON CONFLICT (id) DO NOTHING RETURNING id",
                (str(body.id), body.object_key, body.source, body.original_name, body.duration_seconds),
            )
            created = cur.fetchone() is not None
            if created:
                _log_event(cur, body.id, "created", actor)
    return {"id": str(body.id), "created": created}


@app.get("/recordings")
def list_recordings(search: Annotated[SearchQuery, Query()]) -> Page:
    """A page of recordings with the number of all that match."""
    sql, params = search.page()
    count_sql, count_params = search.count()
    with get_db_connection() as conn:
        with conn.cursor() as cur:
            cur.execute(count_sql, count_params)
            total = cur.fetchall()[0]["total"]
            cur.execute(sql, params)
            rows = cur.fetchall()
    return Page(total=total, items=[RecordingOut(**row) for row in rows])


@app.get("/recordings/{recording_id}")
def get_recording(recording_id: uuid.UUID) -> RecordingOut:
    with closing(get_db_connection()) as conn, conn, conn.cursor() as cur:
        cur.execute(
            "SELECT id, object_key, source, original_name, duration_seconds, status, transcript, created_at "
            "FROM recordings WHERE id = %s",
            (str(recording_id),),
        )
        row = cur.fetchone()
    if row is None:
        raise HTTPException(404, "no such recording")
    return RecordingOut(**row)


@app.put("/recordings/{recording_id}/transcript", status_code=204)
def put_transcript(recording_id: uuid.UUID, body: TranscriptIn, actor: Actor = "asr") -> None:
    with closing(get_db_connection()) as conn, conn, conn.cursor() as cur:
        cur.execute(
            "UPDATE recordings SET transcript = %s, model = %s, status = 'transcribed', updated_at = now() "
            "WHERE id = %s AND status <> 'reviewed'",
            (body.text, body.model, str(recording_id)),
        )
        if cur.rowcount:
            _log_event(cur, recording_id, "transcribed", actor)
            return
        cur.execute("SELECT status FROM recordings WHERE id = %s", (str(recording_id),))
        if cur.fetchone() is None:
            raise HTTPException(404, "no such recording")
    log.info("transcript of %s is reviewed already, new one ignored", recording_id)


# --- review ----------------------------------------------------------------

@app.post("/corrections")
def import_corrections(actor: Actor, file: Annotated[UploadFile, File()]):
    """Take a reviewer's CSV (recording_id, transcript): all of it or nothing."""
    if file.content_type not in CSV_TYPES:
        raise HTTPException(415, "a CSV file is needed")
    if file.size is None or file.size > MAX_IMPORT_BYTES:
        raise HTTPException(413, "the file is too large")
    corrections = _parse_corrections(file.file.read(MAX_IMPORT_BYTES))
    conn = get_db_connection()
    try:
        with conn.cursor() as cur:
            unknown = [str(c.recording_id) for c in corrections if not _correct(cur, c, actor)]
        if unknown:
            conn.rollback()
            raise HTTPException(422, {"unknown_recordings": unknown[:20]})
        conn.commit()
    finally:
        conn.close()
    return {"corrected": len(corrections)}


def _parse_corrections(data: bytes) -> list[Correction]:
    try:
        rows = csv.DictReader(io.StringIO(data.decode("utf-8-sig")))
        if not rows.fieldnames or not {"recording_id", "transcript"} <= set(rows.fieldnames):
            raise HTTPException(422, "columns recording_id and transcript are needed")
        return [Correction(recording_id=row["recording_id"], transcript=row["transcript"]) for row in rows]
    except (ValueError, csv.Error) as exc:
        log.info("corrections refused: %s", type(exc).__name__)
        raise HTTPException(422, "the file is not a valid corrections CSV") from exc


def _correct(cur, correction: Correction, actor: str) -> bool:
    cur.execute(
        "UPDATE recordings SET transcript = %s, reviewer = %s, status = 'reviewed', updated_at = now() WHERE id = %s",
        (correction.transcript, actor, str(correction.recording_id)),
    )
    if cur.rowcount == 0:
        return False
    _log_event(cur, correction.recording_id, "reviewed", actor)
    return True


# --- reports ---------------------------------------------------------------

@app.get("/stats")
def stats():
    """Recordings and hours a status, and the share that is reviewed."""
    with closing(get_db_connection()) as conn, conn, conn.cursor() as cur:
        cur.execute(
            "SELECT status, count(*) AS recordings, coalesce(sum(duration_seconds), 0) AS seconds "
            "FROM recordings GROUP BY status ORDER BY recordings DESC"
        )
        rows = cur.fetchall()
    total = sum(row["recordings"] for row in rows)
    reviewed = sum(row["recordings"] for row in rows if row["status"] == "reviewed")
    return {
        "by_status": {
            row["status"]: {"recordings": row["recordings"], "hours": round(row["seconds"] / 3600, 2)} for row in rows
        },
        "reviewed_share": round(reviewed / total, 4) if total else 0.0,
    }


@app.post("/exports", status_code=201)
def create_export():
    """Write the reviewed transcripts to a CSV file."""
    with closing(get_db_connection()) as conn, conn, conn.cursor(name=f"export_{uuid.uuid4().hex}") as cur:
        cur.execute("SELECT id, object_key, transcript FROM recordings WHERE status = 'reviewed' ORDER BY created_at")
        name = exports.write(("id", "object_key", "transcript"), cur)
    exports.remove_old()
    return {"name": name}


@app.get("/exports/{name}")
def get_export(name: str):
    path = exports.find(name)
    if path is None:
        raise HTTPException(404, "no such export")
    return FileResponse(path, media_type="text/csv", filename=path.name)
