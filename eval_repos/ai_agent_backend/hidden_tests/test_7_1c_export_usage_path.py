import re

import pytest


@pytest.fixture
def elsewhere(tmp_path):
    """A folder with another package of the name app."""
    (tmp_path / "work" / "app").mkdir(parents=True)
    (tmp_path / "work" / "app" / "__init__.py").write_text("raise RuntimeError('this is the wrong app')")
    return tmp_path / "work"


def exported(answer):
    return answer.returncode == 0 and answer.stdout.startswith("user_id,kind,tokens,created_at")


def test_the_folder_of_the_caller_does_not_matter(tools, elsewhere):
    # The repository is on the path, as when it is installed; the caller's folder must not come first.
    answer = tools.run(tools.root / "scripts" / "export_usage.py", cwd=elsewhere, path=[tools.root])
    assert exported(answer), answer.stderr


def test_it_can_still_be_run(tools):
    as_file = tools.run("scripts/export_usage.py")
    if exported(as_file):
        return
    # Run as a module instead: then the documentation says so (or the project can be installed).
    as_module = tools.run("-m", "scripts.export_usage")
    assert exported(as_module), as_file.stderr
    texts = "".join(path.read_text(encoding="utf-8") for path in [*tools.root.glob("*.md"), tools.root / "scripts" / "export_usage.py"])
    assert re.search(r"-m scripts\.export_usage", texts) or (tools.root / "pyproject.toml").exists()
