-- Keep what users change in a draft, for the feedback loop

ALTER TABLE generated_drafts ADD COLUMN IF NOT EXISTS user_edits TEXT;
ALTER TABLE generated_drafts ADD COLUMN edit_count INTEGER NOT NULL DEFAULT 0;
