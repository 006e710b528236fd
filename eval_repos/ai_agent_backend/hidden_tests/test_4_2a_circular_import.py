import pytest

CODE = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
from app.auth import get_current_user_required
from app.routes import ROUTE_SCOPES, router
print("imported")
"""


@pytest.mark.parametrize("first", ["app.auth", "app.routes", "app.permissions", "app.main"])
def test_any_module_can_be_imported_first(tools, first):
    answer = tools.run("-c", CODE, first, path=[tools.root])
    assert "imported" in answer.stdout, answer.stderr


def test_create_admin_starts(tools):
    answer = tools.run(tools.root / "create_admin.py", "--help")
    assert answer.returncode == 0, answer.stderr


def test_scopes_are_still_checked(service, tools):
    client = service().client
    body = {"title": "Holiday", "clips": ["missing.mp4"]}
    assert client.post("/videos", json=body, headers=tools.sign_in(client)).status_code == 403
    assert client.post("/videos", json=body, headers=tools.sign_in(client, "pro@example.org", "pro")).status_code == 404
