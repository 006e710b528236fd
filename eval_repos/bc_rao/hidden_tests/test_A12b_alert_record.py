"""An alert is recorded in columns that the schema has."""

from conftest import USER

IGNORED = {"id", "shadow_id", "created_at", "sent_at", "updated_at"}


def flag(target, post_id):
    entry = target.monitored(reddit_post_id=post_id, draft_id=None)
    target.web.posts[post_id] = "shadowbanned"
    target.check_until_flagged()
    assert entry["status"] == "Shadowbanned"
    return [r for r in target.db.rows("email_alerts") if r["shadow_id"] == entry["id"]]


def strict(target):
    target.db.strict["email_alerts"] = {"insert", "upsert", "update", "not_null"}


def test_alert_is_recorded(target):
    strict(target)
    (row,) = flag(target, "a1")
    assert row["user_id"] == USER
    assert row["alert_type"]
    assert row["created_at"]


def test_record_tells_delivered_from_failed(target):
    strict(target)
    (delivered,) = flag(target, "a1")
    target.web.mail_status = [500] * 20
    failed = flag(target, "a2")
    target.web.mail_status = []
    if failed:
        facts = [
            {k: v for k, v in row.items() if k not in IGNORED} for row in (delivered, failed[0])
        ]
        times = [row.get("sent_at") is not None for row in (delivered, failed[0])]
        assert facts[0] != facts[1] or times == [True, False]
