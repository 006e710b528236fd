"""Subreddit names are checked before Apify is paid for them."""

import asyncio

from conftest import CAMPAIGN, USER

POST = {
    "parsedId": "p1",
    "title": "Dough tips",
    "body": "My dough was flat until I waited a little longer.",
    "username": "b",
}


def collect(target, names):
    """(result or None, error or None)"""
    target.web.scraped = {"Breadit": [POST]}
    campaign = {
        "id": CAMPAIGN,
        "user_id": USER,
        "keywords": [],
        "target_subreddits": names,
    }

    async def report(*args):
        return None

    module = target.module("app.services.collection_service")
    errors = target.module("app.utils.errors")
    try:
        return (
            asyncio.run(module.CollectionService(target.db).collect_campaign(campaign, report)),
            None,
        )
    except errors.AppError as e:
        return None, e


def test_prefixed_name_never_reaches_apify(target):
    result, error = collect(target, ["r/Breadit"])
    asked = [request.content.decode() for request in target.web.to("api.apify.com")]
    assert not any("/r/r/" in content for content in asked)
    if error is not None:
        # refused, and nothing was spent
        assert asked == []
        assert error.code == "VALIDATION_ERROR"
        assert error.status_code < 500
    else:
        # or understood as the plain name
        assert result["total"] == 1


def test_plain_name_is_collected(target):
    result, error = collect(target, ["Breadit"])
    assert error is None
    assert result["collected"] == {"Breadit": 1}
