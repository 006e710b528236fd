from hidden_helpers import bearer, make_token, world  # noqa: F401


def test_no_part_of_a_token_is_logged(world):  # noqa: F811
    token = make_token()
    assert world.client().get("/api/v1/auth/me", headers=bearer(token)).status_code == 200
    text = world.logs.text()
    assert token[:10] not in text
    assert token[-10:] not in text
    assert token.split(".")[1][:10] not in text


def test_rejected_tokens_are_not_logged_either(world):  # noqa: F811
    token = "Zx81-opaque-token-of-some-other-service"
    assert world.client().get("/api/v1/auth/me", headers=bearer(token)).status_code == 401
    assert token[:8] not in world.logs.text()
