"""A user whose posts are hit all at once gets a few mails, not one for each."""

from datetime import datetime, timedelta

from fake_supabase import comparable


def flag_posts(target, prefix, count):
    for number in range(count):
        post_id = f"{prefix}{number}"
        target.monitored(reddit_post_id=post_id, draft_id=None)
        target.web.posts[post_id] = "shadowbanned"
    target.check_until_flagged()
    rows = [r for r in target.db.rows("shadow_table") if r["reddit_post_id"].startswith(prefix)]
    assert {row["status"] for row in rows} == {"Shadowbanned"}


def test_alerts_are_limited_and_start_again(target):
    target.db.strict["email_alerts"] = {"select"}
    flag_posts(target, "a", 8)
    first = len(target.web.mails)
    assert 1 <= first < 8

    flag_posts(target, "b", 2)
    assert len(target.web.mails) == first

    # a week later
    for row in target.db.rows("email_alerts"):
        for column, value in row.items():
            moment = comparable(value)
            if isinstance(moment, datetime):
                row[column] = (moment - timedelta(days=7)).isoformat()
    flag_posts(target, "c", 1)
    assert len(target.web.mails) == first + 1
