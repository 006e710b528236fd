"""A passing failure of Apify does not lose a subreddit."""

import asyncio

import httpx
import pytest
from conftest import CAMPAIGN, USER

POST = {
    "parsedId": "p1",
    "title": "Dough tips",
    "body": "My dough was flat until I waited a little longer.",
    "username": "b",
}


def collect(target, names):
    campaign = {
        "id": CAMPAIGN,
        "user_id": USER,
        "keywords": ["dough"],
        "target_subreddits": names,
    }

    async def report(*args):
        return None

    module = target.module("app.services.collection_service")
    return asyncio.run(module.CollectionService(target.db).collect_campaign(campaign, report))


@pytest.mark.parametrize("failure", [502, 500])
def test_subreddit_is_tried_again(target, failure):
    target.web.scraped = {"Breadit": [POST]}
    target.web.apify = [failure]
    result = collect(target, ["Breadit"])
    assert result["collected"] == {"Breadit": 1}
    assert result["failed"] == []
    assert [row["reddit_post_id"] for row in target.db.rows("raw_posts")] == ["p1"]


def test_lasting_failure_is_reported_and_bounded(target):
    target.web.scraped = {"Breadit": [POST], "Sourdough": [dict(POST, parsedId="p2")]}
    original = target.web.answer

    def answer(request):
        if request.url.host == "api.apify.com" and b"/r/Breadit" in request.content:
            target.web.requests.append(request)
            return httpx.Response(502, json={})
        return original(request)

    target.web.answer = answer
    result = collect(target, ["Breadit", "Sourdough"])
    assert result["failed"] == ["Breadit"]
    assert result["collected"] == {"Sourdough": 1}
    assert len(target.web.to("api.apify.com")) <= 20
