CODE = """
from types import SimpleNamespace
from app.main import create_app
from app import auth
app = create_app()
print("TOKEN " + auth.create_access_token(SimpleNamespace(id=1), app.state.settings.jwt_secret, 60))
print("SECRET " + str(app.state.settings.jwt_secret))
"""


def secret(tools, **environment):
    answer = tools.run("-c", CODE, path=[tools.root], **environment)
    lines = [line for line in answer.stdout.splitlines() if line.startswith("SECRET ")]
    return lines[0].removeprefix("SECRET ") if answer.returncode == 0 and lines else None


def test_no_well_known_secret(tools):
    first, second = secret(tools, JWT_SECRET_KEY=""), secret(tools, JWT_SECRET_KEY="")
    # Either the service does not start (or gives no token), or each process has a secret of its own.
    assert first is None or first != second
    if first is not None:
        assert len(first) >= 16


def test_no_well_known_secret_in_production(tools, monkeypatch):
    monkeypatch.delenv("JWT_SECRET_KEY")
    first, second = secret(tools, ENVIRONMENT="production"), secret(tools, ENVIRONMENT="production")
    assert first is None or first != second


def test_configured_secret_is_used(tools):
    assert secret(tools, JWT_SECRET_KEY="x" * 48) == "x" * 48
