"""Registering a post twice is answered with a conflict."""

from conftest import CAMPAIGN

POST = {
    "campaign_id": CAMPAIGN,
    "post_url": "https://www.reddit.com/r/Breadit/comments/xyz789/my_bread/",
    "reddit_username": "baker_b",
}


def test_second_registration_is_a_conflict(target):
    client = target.client(raise_server_exceptions=False)
    first = client.post("/api/v1/monitoring/posts", json=POST)
    assert first.status_code == 201
    second = client.post("/api/v1/monitoring/posts", json=POST)
    assert second.status_code == 409
    error = second.json()["error"]
    assert isinstance(error["code"], str)
    assert error["code"] not in ("", "INTERNAL_ERROR")
    assert error["details"]["shadow_id"] == first.json()["id"]
    assert len(target.db.rows("shadow_table")) == 1
