-- Phase 5: post monitoring, alerts and the syntax blacklist

CREATE TABLE shadow_table (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id UUID NOT NULL REFERENCES profiles(id) ON DELETE CASCADE,
    campaign_id UUID NOT NULL REFERENCES campaigns(id) ON DELETE CASCADE,
    draft_id UUID REFERENCES generated_drafts(id) ON DELETE SET NULL,
    reddit_post_id TEXT NOT NULL,
    reddit_post_url TEXT NOT NULL,
    reddit_username TEXT NOT NULL,
    subreddit TEXT NOT NULL,
    account_status TEXT NOT NULL DEFAULT 'New' CHECK (account_status IN ('New', 'Established')),
    status TEXT NOT NULL DEFAULT 'Active'
        CHECK (status IN ('Active', 'Shadowbanned', 'Removed', 'Deleted', 'Expired')),
    check_interval_hours INTEGER NOT NULL DEFAULT 4,
    total_checks INTEGER NOT NULL DEFAULT 0,
    last_check_at TIMESTAMPTZ,
    last_check_status TEXT,
    next_check_at TIMESTAMPTZ NOT NULL,
    submitted_at TIMESTAMPTZ NOT NULL DEFAULT NOW()
);

CREATE TABLE email_alerts (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id UUID NOT NULL REFERENCES profiles(id) ON DELETE CASCADE,
    shadow_id UUID REFERENCES shadow_table(id) ON DELETE CASCADE,
    alert_type TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'sent', 'failed')),
    created_at TIMESTAMPTZ NOT NULL DEFAULT NOW()
);

CREATE TABLE syntax_blacklist (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    campaign_id UUID NOT NULL REFERENCES campaigns(id) ON DELETE CASCADE,
    subreddit TEXT NOT NULL,
    forbidden_pattern TEXT NOT NULL,
    category TEXT NOT NULL,
    failure_type TEXT NOT NULL,
    confidence NUMERIC NOT NULL DEFAULT 0.5,
    created_at TIMESTAMPTZ NOT NULL DEFAULT NOW()
);

CREATE UNIQUE INDEX idx_shadow_post ON shadow_table (user_id, reddit_post_id);
CREATE INDEX idx_shadow_due ON shadow_table (status, next_check_at);
CREATE INDEX idx_blacklist_subreddit ON syntax_blacklist (subreddit);
