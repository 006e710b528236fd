import asyncio
import json

import pytest
from conftest import CAMPAIGN_ID, DRAFT_ID, DRAFT_TEXT, OTHER_ID, USER_ID

from app.config import get_settings
from app.inference.client import InferenceClient, backoff_seconds
from app.inference.cost_tracker import CostTracker
from app.inference.router import get_cost_cap, get_model
from app.services.generation_service import split_title
from app.utils.errors import AppError
from app.workers.task_runner import set_task_state

BLACKLISTED = {
    "campaign_id": CAMPAIGN_ID,
    "subreddit": "Breadit",
    "category": "promotional",
    "confidence": 0.7,
}
GENERATE = f"/api/v1/campaigns/{CAMPAIGN_ID}/drafts/generate"


def last_data(text):
    lines = [line for line in text.splitlines() if line.startswith("data: ")]
    return json.loads(lines[-1].removeprefix("data: "))


def complete():
    messages = [{"role": "user", "content": "Write"}]
    return asyncio.run(InferenceClient(get_settings()).complete("generate_draft", messages))


def test_generate_draft(client, db):
    db.table("raw_posts").insert(
        {
            "campaign_id": CAMPAIGN_ID,
            "subreddit": "Breadit",
            "title": "Crumb shot",
            "engagement": 4,
            "metadata": {"flair": "Tips"},
        }
    ).execute()
    db.table("syntax_blacklist").insert(
        BLACKLISTED | {"forbidden_pattern": "check it out"}
    ).execute()
    started = client.post(GENERATE, json={"subreddit": "Breadit", "context": "one year"})
    assert started.status_code == 202
    stream = client.get(f"/api/v1/drafts/tasks/{started.json()['task_id']}/stream")
    result = last_data(stream.text)
    draft = client.get(f"/api/v1/drafts/{result['draft_id']}").json()
    assert draft["title"] == "My sourdough year"
    assert draft["subreddit"] == "Breadit"
    assert db.table("usage_tracking").select("*").execute().data[0]["tokens"] == 1500


def test_prompt_has_examples_and_forbidden_phrases(client, db, web):
    db.table("syntax_blacklist").insert(
        BLACKLISTED | {"forbidden_pattern": "limited time"}
    ).execute()
    started = client.post(GENERATE, json={"subreddit": "Breadit"})
    client.get(f"/api/v1/drafts/tasks/{started.json()['task_id']}/stream")
    sent = json.loads(web.to("openrouter.ai")[0].content)
    assert "limited time" in sent["messages"][1]["content"]


def test_generate_refuses_other_subreddits(client):
    assert client.post(GENERATE, json={"subreddit": "cats"}).status_code == 422
    assert client.post(GENERATE, json={"subreddit": "r/Breadit"}).status_code == 422


def test_trial_limit(client, db):
    for _ in range(10):
        db.table("generated_drafts").insert({"user_id": USER_ID}).execute()
    response = client.post(GENERATE, json={"subreddit": "Breadit"})
    assert response.status_code == 403
    assert response.json()["error"]["code"] == "PLAN_LIMIT_REACHED"


def test_failed_generation_ends_the_stream(client, web):
    web.completion_status = [400]
    started = client.post(GENERATE, json={"subreddit": "Breadit"})
    stream = client.get(f"/api/v1/drafts/tasks/{started.json()['task_id']}/stream")
    assert last_data(stream.text)["message"] == "The task failed"


def test_spent_budget_stops_generation(client, db, web):
    db.table("usage_tracking").insert({"user_id": USER_ID, "cost_usd": 100.0}).execute()
    started = client.post(GENERATE, json={"subreddit": "Breadit"})
    client.get(f"/api/v1/drafts/tasks/{started.json()['task_id']}/stream")
    assert web.to("openrouter.ai") == []


def test_stream_of_somebody_else_is_not_found(client):
    set_task_state("t1", OTHER_ID, "SUCCESS", {})
    assert client.get("/api/v1/drafts/tasks/t1/stream").status_code == 404
    assert client.get("/api/v1/drafts/tasks/unknown/stream").status_code == 404


def test_regenerate_sends_the_feedback(client, web):
    started = client.post(f"/api/v1/drafts/{DRAFT_ID}/regenerate", json={"feedback": "shorter"})
    assert started.status_code == 202
    stream = client.get(f"/api/v1/drafts/tasks/{started.json()['task_id']}/stream")
    assert last_data(stream.text)["replaces"] == DRAFT_ID
    assert "shorter" in web.to("openrouter.ai")[0].content.decode()


def test_list_drafts_pages_and_filters(client, db):
    url = f"/api/v1/campaigns/{CAMPAIGN_ID}/drafts"
    assert [draft["id"] for draft in client.get(url).json()] == [DRAFT_ID]
    assert client.get(url, params={"status": "approved"}).json() == []
    assert client.get(url, params={"subreddit": "Sourdough"}).json() == []
    assert client.get(url, params={"offset": 1}).json() == []


def test_draft_stats(client, db):
    url = f"/api/v1/campaigns/{CAMPAIGN_ID}/drafts/stats"
    client.patch(f"/api/v1/drafts/{DRAFT_ID}", json={"body": "Shorter"})
    assert client.get(url).json()["edits_per_draft"] == 1.0
    db.table("generated_drafts").delete().eq("id", DRAFT_ID).execute()
    assert client.get(url).json()["total"] == 0


def test_edit_keeps_the_original_and_can_be_reverted(client):
    url = f"/api/v1/drafts/{DRAFT_ID}"
    assert client.get(f"{url}/original").status_code == 404
    edited = client.patch(url, json={"body": "Shorter", "title": "Bread"}).json()
    assert (edited["status"], edited["edit_count"]) == ("edited", 1)
    assert client.get(f"{url}/original").json()["original"] == DRAFT_TEXT
    assert client.post(f"{url}/revert").json()["body"] == DRAFT_TEXT


def test_posted_draft_cannot_be_edited(client, monitored):
    monitored(next_check_at="2999-01-01T00:00:00+00:00")
    response = client.patch(f"/api/v1/drafts/{DRAFT_ID}", json={"body": "Shorter"})
    assert response.status_code == 409
    copied = client.post(f"/api/v1/drafts/{DRAFT_ID}/copy")
    assert copied.status_code == 201
    assert copied.json()["id"] != DRAFT_ID


def test_approve_and_discard(client):
    url = f"/api/v1/drafts/{DRAFT_ID}"
    assert client.post(f"{url}/approve").json()["status"] == "approved"
    assert client.delete(url).status_code == 204
    assert client.post(f"{url}/approve").status_code == 409


def test_check_and_export(client, db):
    db.table("syntax_blacklist").insert(
        BLACKLISTED | {"forbidden_pattern": "check it out"}
    ).execute()
    checked = client.get(f"/api/v1/drafts/{DRAFT_ID}/check").json()
    assert checked == {"passed": False, "phrases": {"check it out": "promotional"}}
    assert client.get(f"/api/v1/drafts/{DRAFT_ID}/export").text.startswith("# A year of bread")


def test_completion_counts_tokens(db, web):
    result = complete()
    assert result.total_tokens == 1500
    assert result.cost_usd == pytest.approx(0.0105)


def test_completion_is_retried(db, web):
    web.completion_status = [503, 429, 200]
    assert complete().text.startswith("Title:")
    assert len(web.to("openrouter.ai")) == 3


def test_completion_gives_up(db, web):
    for status in (503, 401):
        web.completion_status = [status]
        with pytest.raises(AppError) as caught:
            complete()
        assert caught.value.code == "INFERENCE_FAILED"


def test_completion_without_text(db, web):
    for choices in ([], [{"message": {"content": " "}}]):
        web.completion["choices"] = choices
        with pytest.raises(AppError):
            complete()


def test_budget(db):
    tracker = CostTracker(db)
    assert tracker.check_budget(USER_ID, "growth") == (True, 25.0)
    assert tracker.check_budget(USER_ID, "enterprise") == (True, float("inf"))
    tracker.record(USER_ID, "generate_draft", "m", 10, 30.0)
    assert tracker.check_budget(USER_ID, "growth") == (False, 0.0)
    assert tracker.get_budget_summary(USER_ID, "enterprise")["percent_used"] is None
    assert tracker.average_cost(USER_ID, "score_post") == 0.0


def test_routing():
    assert get_model("unheard of") == "openai/gpt-4o-mini"
    with pytest.raises(ValueError, match="Unknown plan"):
        get_cost_cap("gold")
    assert 0 <= backoff_seconds(2) <= 4
    assert split_title("Title: A\n\nB") == ("A", "B")
    assert split_title("Just text") == (None, "Just text")
