"""The variable is documented where the others are (or is a field of the settings class by now)."""

import ast
import re

NAME = "AGENT_HISTORY_LIMIT"


def test_variable_is_documented(tools):
    texts = [*tools.root.glob("*.md"), *tools.root.glob("*/*.md"), *tools.root.glob(".env*"), *tools.root.glob("*/.env*"), tools.root / "app" / "config.py"]
    documented = any(re.search(rf"\b{NAME}\b", path.read_text(encoding="utf-8")) for path in texts)
    read = any(
        isinstance(node, ast.Constant) and node.value == NAME
        for folder in ("app", "video_worker")
        for path in (tools.root / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    )
    assert read, "the setting is gone"
    assert documented
