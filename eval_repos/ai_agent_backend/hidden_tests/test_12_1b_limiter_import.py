"""The old unit test can be collected again, has all its tests, and they pass."""

import ast


def test_unit_tests_run(tools):
    path = tools.root / "tests" / "unit" / "test_limits.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tests = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    assert len(tests) >= 3 and all(any(isinstance(inner, ast.Assert) for inner in ast.walk(test)) for test in tests)
    answer = tools.run("-m", "pytest", "-q", "-p", "no:cacheprovider", path)
    assert answer.returncode == 0, answer.stdout
    assert "skipped" not in answer.stdout and "deselected" not in answer.stdout and "xfailed" not in answer.stdout
