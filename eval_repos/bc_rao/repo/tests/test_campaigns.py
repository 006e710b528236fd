import asyncio

import pytest
from conftest import CAMPAIGN_ID, OTHER_ID, USER_ID

from app.services.collection_service import (
    CollectionService,
    engagement,
    matches_keywords,
)
from app.utils.errors import AppError
from app.workers.task_runner import set_task_state


def scraped(post_id, title="Dough tips", body="My dough was flat until I waited longer.", **more):
    return {"parsedId": post_id, "title": title, "body": body, "username": "b", **more}


def collect(db, target_subreddits, keywords=("dough",)):
    reports = []

    async def report(current, total, message):
        reports.append((current, total, message))

    campaign = {
        "id": CAMPAIGN_ID,
        "user_id": USER_ID,
        "keywords": list(keywords),
        "target_subreddits": target_subreddits,
    }
    result = asyncio.run(CollectionService(db).collect_campaign(campaign, report))
    return result, reports


def test_health_needs_no_token(client):
    response = client.get("/health", headers={"Authorization": "", "x-request-id": "r1"})
    assert response.json()["status"] == "ok"
    assert response.headers["x-request-id"] == "r1"


def test_bad_token_is_refused(client):
    for header in ("", "Bearer not-a-token", "Basic abc"):
        response = client.get("/api/v1/campaigns", headers={"Authorization": header})
        assert response.status_code == 401
        assert response.json()["error"]["code"] == "AUTH_REQUIRED"


def test_create_and_list_campaigns(client):
    body = {"name": "Rye", "product_context": "Rye flour", "target_subreddits": ["Breadit"]}
    created = client.post("/api/v1/campaigns", json=body)
    assert created.status_code == 201
    assert created.json()["keywords"] == []
    names = {campaign["name"] for campaign in client.get("/api/v1/campaigns").json()}
    assert names == {"Rye", "Sourdough"}


def test_campaign_of_somebody_else_is_not_found(client, db):
    db.table("campaigns").update({"user_id": OTHER_ID}).eq("id", CAMPAIGN_ID).execute()
    assert client.get(f"/api/v1/campaigns/{CAMPAIGN_ID}").status_code == 404


def test_collection_keeps_relevant_posts(db, web):
    web.scraped = {
        "Breadit": [
            scraped("p1", upVotes=5, numberOfComments=4, flair="Tips"),
            scraped("p2", title="Cats", body="Nothing about baking in this post at all."),
            scraped("p3", body="dough"),
            scraped("p4", body="[removed]"),
            scraped("p5", username="AutoModerator"),
            scraped("p6", title="  "),
            {"dataType": "community"},
        ],
        "Sourdough": [scraped("p1"), scraped("p7")],
    }
    result, reports = collect(db, ["Breadit", "Sourdough"])
    assert result["collected"] == {"Breadit": 1, "Sourdough": 1}
    assert result["failed"] == []
    assert reports[-1] == (2, 2, "Done")
    stored = db.table("raw_posts").select("*").order("engagement", desc=True).execute().data
    assert [row["reddit_post_id"] for row in stored] == ["p1", "p7"]
    assert stored[0]["metadata"]["flair"] == "Tips"


def test_one_failing_subreddit_does_not_stop_the_others(db, web):
    web.scraped = {"Sourdough": [scraped("p1")]}
    result, _ = collect(db, ["Breadit", "Sourdough"])
    assert result["failed"] == ["Breadit"]
    assert result["total"] == 1


def test_collection_without_any_success_fails(db, web):
    with pytest.raises(AppError) as caught:
        collect(db, ["Breadit"])
    assert caught.value.code == "COLLECTION_FAILED"


def test_collection_needs_subreddits(db, web):
    with pytest.raises(AppError) as caught:
        collect(db, [])
    assert caught.value.code == "VALIDATION_ERROR"


def test_quota_of_the_plan_is_shared(db, web):
    db.table("subscriptions").insert({"user_id": USER_ID, "plan": "starter"}).execute()
    web.scraped = {"Breadit": [scraped("p1")], "Sourdough": [scraped("p2")]}
    collect(db, ["Breadit", "Sourdough"])
    requested = [request.url.params["maxItems"] for request in web.to("api.apify.com")]
    assert requested == ["250", "250"]


def test_collection_endpoint_and_stream(client, web):
    web.scraped = {"Breadit": [scraped("p1")], "Sourdough": [scraped("p2")]}
    started = client.post(f"/api/v1/campaigns/{CAMPAIGN_ID}/collect")
    assert started.status_code == 202
    task_id = started.json()["task_id"]
    stream = client.get(f"/api/v1/campaigns/tasks/{task_id}/stream")
    assert "event: finished" in stream.text
    assert '"total": 2' in stream.text
    posts = client.get(f"/api/v1/campaigns/{CAMPAIGN_ID}/posts?subreddit=Breadit").json()
    assert [post["title"] for post in posts] == ["Dough tips"]


def test_collection_routes_refuse_bad_input(client):
    set_task_state("t1", OTHER_ID, "SUCCESS", {})
    assert client.get("/api/v1/campaigns/tasks/t1/stream").status_code == 404
    response = client.get(f"/api/v1/campaigns/{CAMPAIGN_ID}/posts?subreddit=r/Breadit")
    assert response.status_code == 422


def test_usage_shows_spending(client, db):
    for cost in (0.1, 0.3):
        db.table("usage_tracking").insert(
            {"user_id": USER_ID, "action": "generate_draft", "cost_usd": cost}
        ).execute()
    usage = client.get("/api/v1/usage").json()
    assert usage["plan"] == "trial"
    assert usage["spent_usd"] == pytest.approx(0.4)
    assert usage["percent_used"] == pytest.approx(80.0)
    assert usage["average_draft_usd"] == pytest.approx(0.2)


def test_keywords_and_engagement():
    post = scraped("p", upVotes=3, numberOfComments=2)
    assert matches_keywords(post, [])
    assert matches_keywords(post, ["DOUGH"])
    assert not matches_keywords(post, ["cat"])
    assert engagement(post) == 7.0
