from uuid import uuid4

import pytest
from hidden_helpers import USER_ID, bearer, make_token, world  # noqa: F401

ME = "/api/v1/auth/me"


@pytest.mark.parametrize(
    "token", [f"supabase_token_{USER_ID}", f"supabase_token_{USER_ID.upper()}", f"supabase_token_{uuid4()}", USER_ID]
)
def test_a_user_id_is_no_proof(world, token):  # noqa: F811
    for path in (ME, "/api/v1/credits/balance", "/api/v1/generations"):
        response = world.client().get(path, headers=bearer(token))
        assert response.status_code in (401, 403), (path, response.status_code)


@pytest.mark.parametrize("rest", ["not-a-uuid", f"{USER_ID}.forged", f"{USER_ID}.a.b"])
def test_forged_suffixes(world, rest):  # noqa: F811
    assert world.client().get(ME, headers=bearer(f"supabase_token_{rest}")).status_code in (401, 403)


def test_forged_signature_inside_the_custom_format(world):  # noqa: F811
    token = make_token(secret="somebody-elses-secret-of-enough-length")
    assert world.client().get(ME, headers=bearer(f"supabase_token_{token}")).status_code in (401, 403)


def test_signed_tokens_still_work(world):  # noqa: F811
    response = world.client().get(ME, headers=bearer(make_token()))
    assert response.status_code == 200
    assert response.json()["id"] == USER_ID
    forged = make_token(secret="somebody-elses-secret-of-enough-length")
    assert world.client().get(ME, headers=bearer(forged)).status_code == 401
