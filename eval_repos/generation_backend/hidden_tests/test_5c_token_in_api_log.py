import logging

from hidden_helpers import REQUEST, URL, bearer, make_token, world  # noqa: F401


def test_no_part_of_a_token_is_logged_by_the_router(world, monkeypatch):  # noqa: F811
    monkeypatch.setattr(world.service, "_start_processing", lambda *args, **kwargs: None, raising=False)
    token = make_token()
    assert world.client().post(URL, json=REQUEST, headers=bearer(token)).status_code == 202
    records = [record for record in world.logs.records if record.name == "routers.generations"]
    text = "\n".join(record.getMessage() for record in records)
    assert token[:10] not in text and token[-10:] not in text and token.split(".")[1][:10] not in text
    assert logging.getLogger("routers.generations").isEnabledFor(logging.INFO)
