def test_comparison_without_distutils(without, load):
    without("distutils", "setuptools", "_distutils_hack")
    module = load("install_all_dependencies")
    assert module.is_older("0.9.1", "0.10.0") and module.is_older("2.0.36", "2.0.40")
    assert not module.is_older("0.10.0", "0.9.1") and not module.is_older("1.2.0", "1.2.0")
    lines = module.outdated({"httpx": "9999.0", "fastapi": "0.1", "no-such-package": "1"})
    assert [line.split(":")[0] for line in lines] == ["httpx", "no-such-package"]


def test_what_it_needs_is_declared(tools):
    import ast

    tree = ast.parse((tools.root / "install_all_dependencies.py").read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("packaging"):
            assert "packaging" in tools.requirements()
