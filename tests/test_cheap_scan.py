"""What makes a scan cheap must not change what it finds: hints by words, one walk for all, few suspects."""

from __future__ import annotations

import ast
import os
from collections import Counter
from pathlib import Path

import pytest
from conftest import write_tree
from hypothesis import given, settings
from hypothesis import strategies as st

from fixbot.detectors import hints as hints_module
from fixbot.detectors.engines import ruff
from fixbot.detectors.hints import Hints, words
from fixbot.detectors.member_index import Members
from fixbot.detectors.members import members
from fixbot.detectors.project import Project, discover
from fixbot.detectors.registry import collector, hints_of
from fixbot.detectors.scan import Options, scan
from fixbot.detectors.source import SourceFile
from fixbot.detectors.walk import index, parents

_TEXT = st.lists(st.sampled_from([b"a", b"B", b"_", b"1", b".", b"(", b")", b" ", b"\n", b"\xc3\xa9", b"all", b"except"])).map(b"".join)
_SOURCE = """
@wrap(1)
async def f(a, /, b: int = 1, *c, d=2, **e) -> str:
    async with a as x, b() as (y, z):
        await x.y[1:2]
    async for i in b: yield i
    return {**a, "k": f"{b!r:>{d}}"}
class A(B, metaclass=M):
    x: int = 1
    try: pass
    except* E as e: del e
    else: x += 1
    finally: assert x, "no"
match f:
    case {"a": [1, *rest], **more} | A(x=1) as q if (w := q): pass
    case None: raise X from y
while 1: [a for a in b if c for d in e]; lambda *a: (yield)
"""


@settings(max_examples=100, deadline=None)
@given(st.lists(_TEXT, max_size=6), st.lists(_TEXT, max_size=8))
def test_hints_are_those_that_occur(files: list[bytes], hints: list[bytes]) -> None:
    looked_up = Hints(hints)
    looked_up.learn(frozenset[bytes]().union(*map(words, files)))
    for data in files:
        assert looked_up.present(data, words(data)) == {hint for hint in hints if hint in data}


def test_hints_remember_only_so_many_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hints_module, "_MOST", 3)
    looked_up = Hints([b"sql", b".all()", b"=="])
    for data in (b"import sqlite3", b"x y z w", b"a == b.all()", b"import sqlite3", b"import sqlite3 == callall()"):
        looked_up.learn(words(data))
        assert looked_up.present(data, words(data)) == {hint for hint in (b"sql", b".all()", b"==") if hint in data}


@pytest.mark.parametrize("text", [_SOURCE, Path(ast.__file__).read_text()], ids=["every kind", "a module"])
def test_the_index_has_every_node(text: str) -> None:
    tree = ast.parse(text)
    left_out = (ast.expr_context, ast.boolop, ast.operator, ast.unaryop, ast.cmpop)
    expected = Counter(type(node) for node in ast.walk(tree) if not isinstance(node, left_out))
    assert parents(tree).keys() == {node for node in ast.walk(tree) if not isinstance(node, (*left_out, ast.Module))}
    del expected[ast.Name], expected[ast.Constant]
    assert {kind: len(nodes) for kind, nodes in index(tree, statements=False).items()} == expected
    blocks = (ast.stmt, ast.ExceptHandler, ast.match_case, ast.Module)
    assert {kind: len(nodes) for kind, nodes in index(tree, statements=True).items()} == {
        kind: number for kind, number in expected.items() if issubclass(kind, blocks)
    }


def test_nodes_of_every_class_can_be_asked_for() -> None:
    source = SourceFile("a.py", _SOURCE.encode())
    for kinds in ((ast.Name, ast.Call), (ast.Try, ast.TryStar), (ast.Call,), (ast.ClassDef, ast.Call), (ast.While,)):
        assert Counter(source.nodes(*kinds)) == Counter(node for node in ast.walk(source.tree) if type(node) in kinds)


def test_a_collector_with_hints_is_left_out_elsewhere() -> None:
    @collector(hint=(b"one", b"two"))
    def found(source: SourceFile) -> str:
        return source.path

    assert hints_of(found) == (b"one", b"two")
    assert found(SourceFile("a.py", b"")) == "a.py"
    assert hints_of(members) == ()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"x = = 1\n", "syntax error, line 1"),
        (b"x\0\n", "contains NUL bytes"),
        (b"x = '\xff'\n", "not valid utf-8, and no other encoding is declared"),
        (b"# coding: latin-1\nx = = '\xff'\n", "syntax error, line 2"),
    ],
)
def test_a_broken_file_in_which_no_rule_has_anything_to_look_at_is_named(tmp_path: Path, data: bytes, reason: str) -> None:
    write_tree(tmp_path, {"bad.py": data, "good.py": "x = 1\n"})
    for select in ((), ("missing-timeout",), ("naive-datetime",)):
        found = scan(discover(tmp_path), Options(select=select))
        assert [(entry.path, entry.reason) for entry in found.skipped] == [("bad.py", reason)]
        assert found.files == ("good.py",)


def _suspects(root: Path, files: dict[str, str | bytes]) -> list[str]:
    write_tree(root, files)
    project = discover(root)
    collected = {path: members(project.source(path)) for path in project.files}
    return sorted(path for path, _ in Members(project.with_collected({members: collected})).suspects())


def test_only_files_that_may_use_a_missing_member_are_parsed_again(tmp_path: Path) -> None:
    shop = "class Order:\n    PAID = 1\n\n\nclass _Hidden:\n    A = 1\n"
    files: dict[str, str | bytes] = {
        "shop.py": shop,
        "other.py": "class Order:\n    SENT = 2\n\n\nx = Order.SENT\n",
        "by_name.py": "from shop import Order\nx = Order.GONE\n",
        "by_alias.py": "def f():\n    import shop as s\n    return s.Order.GONE\n",
        "hidden.py": "from shop import _Hidden\nx = _Hidden.B\n",
        "fine.py": "from shop import Order\nx = Order.PAID\n",
        "foreign.py": "from elsewhere import Order\nx = Order.GONE\n",
        "local.py": "x = self.Order.GONE\n",
        "longer.py": "from shop import Order\nx = MyOrder.GONE\ny = my_Order.GONE\n",
        "own.py": "Order.SENT = 1\n",
    }
    assert _suspects(tmp_path, files) == ["by_alias.py", "by_name.py", "hidden.py"]


def test_a_name_after_something_else_is_looked_at(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "shop.py": "class Order:\n    PAID = 1\n",
        "a.py": "import shop\nx = (shop\n    .Order.GONE)\n",
    }
    assert _suspects(tmp_path, files) == ["a.py"]


def test_all_files_go_to_ruff_however_long_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ruff, "_CHARACTERS", 2 * len(str(tmp_path)) + 20)
    names = [f"m{number}.py" for number in range(7)]
    write_tree(tmp_path, dict.fromkeys(names, "x = wave.y\n"))
    assert sorted(ruff.diagnose(tmp_path, names, ["F821"])) == names
    assert not ruff.diagnose(tmp_path, names, [])


def test_a_walk_outside_git_meets_what_it_should(tmp_path: Path) -> None:
    write_tree(
        tmp_path,
        {
            "a.py": "",
            "pkg/sub/b.py": "",
            "env/pyvenv.cfg": "",
            "env/lib/c.py": "",
            "node_modules/d.py": "",
            "__pycache__/e.py": "",
            "pyvenv.cfg": "",
        },
    )
    (tmp_path / "pkg" / "loop").symlink_to(tmp_path)
    (tmp_path / "nowhere").symlink_to("nowhere")
    os.mkdir(tmp_path / "closed", 0o000)
    project: Project = discover(tmp_path)
    assert project.files == ("a.py", "pkg/sub/b.py")
    assert project.others == ("nowhere", "pyvenv.cfg")
