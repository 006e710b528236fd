"""models.py and schemas.py: either sqlmodel is declared, or they do without it."""


def test_models_import_from_what_is_declared(tools, load, without):
    if "sqlmodel" not in tools.requirements():
        without("sqlmodel")
    models, schemas = load("app.models"), load("app.schemas")
    user = models.UserRecord(id=1, email="ada@example.org", password_hash="x", plan="pro")
    assert user.plan is models.Plan.PRO and "video" in user.scopes
    assert schemas.Token(access_token="abc").model_dump() == {"access_token": "abc", "token_type": "bearer"}
