import pytest


@pytest.fixture
def elsewhere(tmp_path):
    """A folder with another package of the name app."""
    (tmp_path / "work" / "app").mkdir(parents=True)
    (tmp_path / "work" / "app" / "__init__.py").write_text("raise RuntimeError('this is the wrong app')")
    return tmp_path / "work"


def check(answer):
    assert answer.returncode == 1, answer.stderr
    assert "REDIS_URL is not set" in answer.stdout


def test_started_from_another_folder(tools, elsewhere):
    check(tools.run(tools.root / "clear_rate_limits_now.py", cwd=elsewhere))


def test_started_from_the_repository(tools):
    check(tools.run("clear_rate_limits_now.py"))
