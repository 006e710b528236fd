import asyncio
import json
from datetime import datetime, timedelta, timezone

import httpx
import pytest
from conftest import CAMPAIGN_ID, DRAFT_ID, OTHER_ID, USER_ID

from app.config import get_settings
from app.integrations.reddit_client import RedditClient, Visibility
from app.services.email_service import EmailService, plain_text, render_digest
from app.workers import janitor, monitoring_worker, task_runner

POST = {
    "campaign_id": CAMPAIGN_ID,
    "draft_id": DRAFT_ID,
    "post_url": "https://www.reddit.com/r/Breadit/comments/xyz789/my_bread/",
    "reddit_username": "baker_b",
}
LATER = "2999-01-01T00:00:00+00:00"


def shadow_row(db, shadow_id):
    return db.table("shadow_table").select("*").eq("id", shadow_id).execute().data[0]


def check_twice(db, entry):
    statuses = []
    for _ in range(2):
        statuses.append(asyncio.run(monitoring_worker.check_post(shadow_row(db, entry["id"]))))
    return statuses[-1]


def test_register_post(client):
    response = client.post("/api/v1/monitoring/posts", json=POST)
    assert response.status_code == 201
    body = response.json()
    assert body["subreddit"] == "Breadit"
    assert body["account_status"] == "New"
    assert body["check_interval_hours"] == 1
    listed = client.get("/api/v1/monitoring/posts", params={"status": "Active"}).json()
    assert [post["id"] for post in listed] == [body["id"]]
    assert client.get("/api/v1/monitoring/posts", params={"campaign_id": "x"}).json() == []


def test_register_refuses_other_links(client):
    post = POST | {"post_url": "https://example.com/r/Breadit/comments/xyz789/"}
    assert client.post("/api/v1/monitoring/posts", json=post).status_code == 422


def test_register_needs_own_draft(client, db):
    db.table("generated_drafts").update({"user_id": OTHER_ID}).eq("id", DRAFT_ID).execute()
    assert client.post("/api/v1/monitoring/posts", json=POST).status_code == 404


def test_account_status_sets_the_interval(client, monitored):
    first = monitored(next_check_at=LATER)
    url = f"/api/v1/monitoring/posts/{first['id']}"
    changed = client.patch(f"{url}/account-status", json={"account_status": "Established"})
    assert changed.json()["check_interval_hours"] == 4
    assert client.post("/api/v1/monitoring/posts", json=POST).status_code == 201
    unknown = client.patch(
        "/api/v1/monitoring/posts/none/account-status", json={"account_status": "New"}
    )
    assert unknown.status_code == 404


def test_post_details_and_stop(client, monitored, db):
    entry = monitored(next_check_at=LATER)
    url = f"/api/v1/monitoring/posts/{entry['id']}"
    assert client.get(url).json()["alerted"] is False
    db.table("email_alerts").insert({"user_id": USER_ID, "shadow_id": entry["id"]}).execute()
    assert client.get(url).json()["alerted"] is True
    assert len(client.get("/api/v1/monitoring/alerts").json()) == 1
    assert len(client.get(f"/api/v1/monitoring/drafts/{DRAFT_ID}/posts").json()) == 1
    assert client.delete(url).status_code == 204
    assert client.get(url).status_code == 404


def test_stats(client, monitored):
    assert client.get("/api/v1/monitoring/stats").json()["survival_rate"] == 1.0
    for number, status in enumerate(["Active", "Shadowbanned", "Removed", "Deleted"]):
        monitored(status=status, reddit_post_id=f"p{number}", next_check_at=LATER)
    stats = client.get("/api/v1/monitoring/stats").json()
    assert stats["total"] == 4
    assert stats["survival_rate"] == pytest.approx(1 / 3)


def test_campaign_report(client, monitored, db):
    monitored(next_check_at=LATER)
    monitored(status="Removed", subreddit="Sourdough", next_check_at=LATER)
    db.table("syntax_blacklist").insert(
        {
            "campaign_id": CAMPAIGN_ID,
            "forbidden_pattern": "sign up",
            "category": "call_to_action",
            "confidence": 0.5,
        }
    ).execute()
    url = f"/api/v1/monitoring/campaigns/{CAMPAIGN_ID}"
    report = client.get(f"{url}/report").json()
    assert report["survival_rate"] == 0.5
    assert report["riskiest"] == "Sourdough"
    assert report["blacklist"][0]["patterns"] == ["sign up"]
    deleted = client.delete(f"{url}/blacklist", params={"phrase": "Sign up"})
    assert deleted.json() == {"deleted": 1}


def test_digest(client, monitored, web):
    url = f"/api/v1/monitoring/campaigns/{CAMPAIGN_ID}/digest"
    assert client.post(url).json() == {"sent": False}
    monitored(next_check_at=LATER)
    assert client.post(url).json() == {"sent": True}
    mail = json.loads(web.to("api.resend.com")[0].content)
    assert "100% survived" in mail["text"]


def test_digest_without_profile(client, monitored, web, db):
    monitored(next_check_at=LATER)
    db.table("profiles").delete().eq("id", USER_ID).execute()
    url = f"/api/v1/monitoring/campaigns/{CAMPAIGN_ID}/digest"
    assert client.post(url).json() == {"sent": False}


def test_check_now_streams_the_result(client, monitored, web):
    entry = monitored(next_check_at=LATER)
    web.posts["abc123"] = "visible"
    started = client.post(f"/api/v1/monitoring/posts/{entry['id']}/check")
    assert started.status_code == 202
    stream = client.get(f"/api/v1/monitoring/tasks/{started.json()['task_id']}/stream")
    assert '"status": "Active"' in stream.text
    assert '"total_checks": 1' in stream.text


def test_failed_check_ends_the_stream(client, monitored, web):
    entry = monitored(next_check_at=LATER)
    web.reddit_status = [500]
    started = client.post(f"/api/v1/monitoring/posts/{entry['id']}/check")
    stream = client.get(f"/api/v1/monitoring/tasks/{started.json()['task_id']}/stream")
    assert "The task failed" in stream.text
    assert client.get("/api/v1/monitoring/tasks/unknown/stream").status_code == 404


def test_visibility(db, web):
    client = RedditClient(get_settings())
    for state in ("visible", "shadowbanned", "removed", "deleted"):
        web.posts["abc123"] = state
        assert asyncio.run(client.check_post_visibility("abc123")) is Visibility(state)


def test_reddit_is_asked_again(db, web):
    web.posts["abc123"] = "visible"
    web.reddit_status = [503, 200]
    client = RedditClient(get_settings())
    assert asyncio.run(client.check_post_visibility("abc123")) is Visibility.VISIBLE
    assert len(web.to("oauth.reddit.com")) == 2
    web.reddit_status = [503]
    with pytest.raises(httpx.HTTPStatusError):
        asyncio.run(client.check_post_visibility("abc123"))


def test_only_due_active_posts_are_loaded(db, monitored):
    due = monitored()
    monitored(reddit_post_id="p2", next_check_at=LATER)
    monitored(reddit_post_id="p3", status="Removed")
    assert [row["id"] for row in monitoring_worker.load_due_posts()] == [due["id"]]


def test_dispatch_checks_due_posts(db, monitored, web):
    entry = monitored()
    web.posts["abc123"] = "visible"
    assert asyncio.run(task_runner.dispatch_due_checks()) == 1
    row = shadow_row(db, entry["id"])
    assert row["status"] == "Active"
    assert row["total_checks"] == 1
    assert row["last_check_status"] == "visible"
    assert row["last_check_at"] is not None


def test_schedule_survives_failures(db, monitored, web, monkeypatch):
    monitored()
    cycles = []

    async def dispatch():
        cycles.append(1)
        raise RuntimeError("Supabase is away")

    async def sleep(seconds):
        if len(cycles) == 2:
            raise asyncio.CancelledError

    monkeypatch.setattr(task_runner, "dispatch_due_checks", dispatch)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(task_runner.schedule_periodic_monitoring())
    assert len(cycles) == 2


def test_shadowban_alerts_the_author(db, monitored, web):
    entry = monitored()
    web.posts["abc123"] = "shadowbanned"
    assert check_twice(db, entry) == "Shadowbanned"
    mails = web.to("api.resend.com")
    assert len(mails) == 1
    assert json.loads(mails[0].content)["to"] == ["baker@dough.test"]
    assert len(db.table("email_alerts").select("*").execute().data) == 1


def test_known_shadowban_is_not_alerted_again(db, monitored, web):
    entry = monitored(status="Shadowbanned")
    web.posts["abc123"] = "shadowbanned"
    check_twice(db, entry)
    assert web.to("api.resend.com") == []


def test_shadowban_of_a_hand_written_post(db, monitored, web):
    entry = monitored(draft_id=None)
    web.posts["abc123"] = "shadowbanned"
    assert check_twice(db, entry) == "Shadowbanned"
    assert db.table("syntax_blacklist").select("*").execute().data == []


def test_removed_and_deleted_posts(db, monitored, web):
    removed = monitored()
    web.posts["abc123"] = "removed"
    assert asyncio.run(monitoring_worker.check_post(removed)) == "Removed"
    by_hand = monitored(reddit_post_id="hand1", draft_id=None)
    web.posts["hand1"] = "removed"
    assert asyncio.run(monitoring_worker.check_post(by_hand)) == "Removed"
    deleted = monitored(reddit_post_id="gone1")
    assert asyncio.run(monitoring_worker.check_post(deleted)) == "Deleted"
    assert web.to("api.resend.com") == []


def test_patterns_gain_confidence(db, monitored):
    entry = monitored()
    text = "Check it out, it is a game changer"
    assert monitoring_worker.store_failure_patterns(db, entry, text, "removal") == 2
    rows = db.table("syntax_blacklist").select("*").execute().data
    before = {row["forbidden_pattern"]: row for row in rows}
    # the same campaign meets the same wording again
    db.table("syntax_blacklist").update({"campaign_id": CAMPAIGN_ID}).execute()
    assert monitoring_worker.store_failure_patterns(db, entry, text, "removal") == 0
    after = db.table("syntax_blacklist").select("*").execute().data
    for row in after:
        assert row["confidence"] > before[row["forbidden_pattern"]]["confidence"]


def test_harmless_text_has_no_patterns(db, monitored):
    assert monitoring_worker.store_failure_patterns(db, monitored(), "Bread rose", "removal") == 0


def test_mail_attempts(db, monitored, web):
    service = EmailService(get_settings(), db)
    entry = monitored()
    for statuses, sent, attempts in (
        ([200], True, 1),
        ([503, 200], True, 2),
        ([503], False, 3),
        ([422], False, 1),
    ):
        web.mail_status = statuses
        web.requests.clear()
        assert service.send_shadowban_alert("baker@dough.test", entry) is sent
        assert len(web.to("api.resend.com")) == attempts


def test_mails_are_escaped():
    report = {"survival_rate": 0.5, "by_subreddit": {"Breadit": 0.5}, "riskiest": "Breadit"}
    page = render_digest("<b>Rye & co</b>", report)
    assert "<b>Rye" not in page
    assert "<b>Rye & co</b>" in plain_text(page)


def test_housekeeping_repeats_after_a_failure(monkeypatch):
    runs = []

    def job(now):
        runs.append(now)
        raise RuntimeError("Supabase is away")

    async def sleep(seconds):
        if len(runs) == 2:
            raise asyncio.CancelledError

    monkeypatch.setattr(asyncio, "sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(janitor.repeat(job, 1.0))
    assert len(runs) == 2


def test_housekeeping(db, monitored):
    now = datetime.now(timezone.utc)
    old = (now - timedelta(days=100)).isoformat()
    db.table("raw_posts").insert([{"collected_at": old}, {"collected_at": now.isoformat()}]).execute()
    monitored(submitted_at=old)
    monitored(reddit_post_id="p2")
    assert janitor.purge_raw_posts(now) == 1
    assert janitor.expire_old_posts(now) == 1


def test_task_state(db, fake_redis):
    task_runner.set_task_state("t1", USER_ID, "PROGRESS", {"current": 1})
    assert task_runner.get_redis() is fake_redis
    assert task_runner.get_task_state("t1")["meta"] == {"current": 1}
