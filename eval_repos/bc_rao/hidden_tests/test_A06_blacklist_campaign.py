"""Blacklisted patterns are stored with the campaign that they belong to."""

from conftest import CAMPAIGN, DRAFT_TEXT


def flag(target, state):
    target.db.strict["syntax_blacklist"] = {"columns", "not_null"}
    for row in target.db.rows("generated_drafts"):
        row["generated_text"] = DRAFT_TEXT
    target.monitored()
    target.web.posts["abc123"] = state
    target.check_until_flagged()
    return target.db.rows("syntax_blacklist")


def test_patterns_carry_their_campaign(target):
    rows = flag(target, "shadowbanned")
    assert len(rows) >= 3
    assert {row["campaign_id"] for row in rows} == {CAMPAIGN}


def test_patterns_of_a_removal_too(target):
    rows = flag(target, "removed")
    assert rows
    assert {row["campaign_id"] for row in rows} == {CAMPAIGN}
    assert {row["subreddit"] for row in rows} == {"Breadit"}
