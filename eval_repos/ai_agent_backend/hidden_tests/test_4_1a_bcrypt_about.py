from types import SimpleNamespace


def test_dependencies_of_the_image_are_shown(tools, service, load):
    bcrypt = load("bcrypt")
    declared = tools.requirements().get("bcrypt")
    if declared is not None and not any(tools.allows(declared, version) for version in ("4.1.0", "4.1.3", "4.2.0", "4.2.1", "4.3.0", "5.0.0")):
        bcrypt.__version__ = "4.0.1"  # the last release with the old attribute
        bcrypt.__about__ = SimpleNamespace(__version__="4.0.1")
    answer = service().client.get("/health/dependencies")
    assert answer.status_code == 200
    passwords = answer.json()["passwords"]
    assert "bcrypt" in passwords["scheme"]
    # Also importlib.metadata is a good answer; the stub has no metadata, so any text will do.
    assert isinstance(passwords["bcrypt"], str) and passwords["bcrypt"]
