import ast

BROKEN = ("4.1.0", "4.1.1", "4.1.2", "4.1.3", "4.2.0", "4.2.1", "4.3.0", "5.0.0")


def imported(root):
    names = set()
    for path in [*root.glob("*.py"), *root.glob("app/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.split(".")[0])
    return names


def test_passlib_and_bcrypt_fit(tools, load):
    declared, used = tools.requirements(), imported(tools.root)
    if "passlib" in used:
        assert "passlib" in declared
        assert "bcrypt" in declared, "without a bound pip takes a bcrypt that passlib cannot use"
        assert not any(tools.allows(declared["bcrypt"], version) for version in BROKEN)
    else:
        assert "passlib" not in declared
        assert used & declared.keys() & {"bcrypt", "pwdlib", "libpass", "argon2-cffi"}


def test_passwords_still_work(load):
    load("app.routes")
    auth = load("app.auth")
    stored = auth.hash_password("correct horse")
    assert stored != "correct horse"
    assert auth.verify_password("correct horse", stored) and not auth.verify_password("wrong horse", stored)
