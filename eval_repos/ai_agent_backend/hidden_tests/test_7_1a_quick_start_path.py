import pytest


@pytest.fixture
def elsewhere(tmp_path):
    """A folder with another package of the name app."""
    (tmp_path / "work" / "app").mkdir(parents=True)
    (tmp_path / "work" / "app" / "__init__.py").write_text("raise RuntimeError('this is the wrong app')")
    return tmp_path / "work"


def test_started_from_another_folder(tools, elsewhere):
    answer = tools.run(tools.root / "quick_start.py", "--check", cwd=elsewhere)
    assert answer.returncode == 0, answer.stderr
    assert "environment" in answer.stdout


def test_started_from_the_repository(tools):
    answer = tools.run("quick_start.py", "--check")
    assert answer.returncode == 0, answer.stderr
