-- Metadata of recordings and their transcripts (PostgreSQL 15)

CREATE TABLE recordings (
    id               uuid PRIMARY KEY,
    object_key       text NOT NULL UNIQUE,
    source           text NOT NULL,
    original_name    text NOT NULL,
    duration_seconds real NOT NULL,
    status           text NOT NULL DEFAULT 'new' CHECK (status IN ('new', 'transcribed', 'reviewed')),
    transcript       text,
    model            text,
    reviewer         text,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX recordings_status_created ON recordings (status, created_at);

CREATE TABLE recording_events (
    id           bigserial PRIMARY KEY,
    recording_id uuid NOT NULL REFERENCES recordings (id) ON DELETE CASCADE,
    kind         text NOT NULL,
    actor        text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now()
);
