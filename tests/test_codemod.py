"""What holds for every codemod: it stays in the finding's function, keeps bytes and comments, and never takes fixbot down."""

from __future__ import annotations

from pathlib import Path

import libcst as cst
import pytest
from conftest import write_tree

from fixbot.detectors.finding import CODEMOD, Finding, Severity, Span
from fixbot.detectors.project import discover
from fixbot.detectors.scan import Options, scan
from fixbot.detectors.source import SourceFile
from fixbot.patchers.codemod import Abstain, Target, Tree
from fixbot.patchers.patch import apply_edits
from fixbot.patchers.propose import make_patch, propose

TWO = "def first():\n    return 1  # one\n\n\ndef second():\n    return 2\n"


def target(text: str, span: Span) -> Target:
    return Target(SourceFile("a.py", text.encode()), span)


def test_replacement_outside_the_function_is_refused() -> None:
    one = target(TWO, Span(2, 5, 2, 13))
    other = one.node(cst.Integer, Span(6, 12, 6, 13))
    one.replace(other, cst.Integer("3"))
    with pytest.raises(Abstain, match="line 6"):
        one.edits()
    assert apply_edits(TWO.encode(), one.edits(anywhere=True)).decode() == TWO.replace("return 2", "return 3")


def test_a_lost_comment_is_refused() -> None:
    one = target(TWO, Span(2, 5, 2, 13))
    line = one.node(cst.SimpleStatementLine)
    one.replace(line, one.statements("return 3\n")[0])
    with pytest.raises(Abstain, match="# one"):
        one.edits()


def test_a_name_that_means_something_else_is_not_imported() -> None:
    with pytest.raises(Abstain, match="`os` already means"):
        target("os = 1\n", Span(1, 1, 1, 2)).use_import("os")
    with pytest.raises(Abstain, match="`time` already means"):
        target("from time import time\n", Span(1, 1, 1, 2)).use_import("time")
    assert target("import os as system\n", Span(1, 1, 1, 2)).use_import("os") == "system"
    assert target("from os import path as p\n", Span(1, 1, 1, 2)).use_import("os", "path") == "p"


def test_a_tree_reads_nothing_outside(tmp_path: Path) -> None:
    write_tree(tmp_path, {"secret.py": "x = 1\n", "root/a.py": "x = 1\n"})
    (tmp_path / "root" / "link.py").symlink_to(tmp_path / "secret.py")
    tree = Tree(tmp_path / "root")
    assert tree.read("a.py") == b"x = 1\n"
    for path in ("link.py", "../secret.py", "gone.py", str(tmp_path / "secret.py")):
        with pytest.raises(Abstain):
            tree.read(path)


BUG = "\n\ndef f(path):\n    return wave.open(path)  # plays\n"
KINDS = [
    b"import os\r\n" + BUG.replace("\n", "\r\n").encode(),
    b"\xef\xbb\xbfimport os\n" + BUG.encode(),
    b"import os\n\x0c\n" + BUG.encode(),
    b"import os" + BUG.encode().rstrip(b"\n"),
    ("import os\nname = '\u2028\x85é'\n" + BUG).encode(),
    b"import os\n" + BUG.replace("    ", "\t").encode(),
    b"import os\ntext = '''a\r\nb'''\n" + BUG.encode(),
]


@pytest.mark.parametrize("data", KINDS)
def test_every_other_byte_is_kept(tmp_path: Path, data: bytes) -> None:
    write_tree(tmp_path, {"a.py": data})
    found = scan(discover(tmp_path), Options(select=("undefined-name",))).findings
    assert len(found) == 1
    patch = make_patch(found[0], tmp_path)
    after = apply_edits(data, patch.edits)
    newline = b"\r\n" if data.startswith(b"import os\r\n") else b"\n"
    assert after.replace(b"import wave" + newline, b"", 1) == data


def test_a_parser_that_crashes_costs_only_its_file(tmp_path: Path) -> None:
    bomb = "import asyncio\nx = " + "(" * 90 + "1" + ")" * 90 + "\n\n\nasync def f():\n    asyncio.create_task(g())\n"
    deep = "import asyncio\nx = " + "-" * 60_000 + "1\n\n\nasync def f():\n    asyncio.create_task(g())\n"
    good = "import asyncio\n\n\nasync def f(g):\n    asyncio.create_task(g())\n"
    write_tree(tmp_path, {"bomb.py": bomb, "deep.py": deep, "good.py": good})
    findings = [
        Finding("lost-task-reference", Severity.MEDIUM, path, Span(line, 5, line, 30), "m", fingerprint=path, fix=CODEMOD)
        for path, line in (("bomb.py", 6), ("deep.py", 6), ("good.py", 5))
    ]
    answers = {answer.finding: answer for answer in propose(findings, tmp_path)}
    assert answers["good.py"].patch is not None
    assert answers["deep.py"].patch is None
    assert answers["deep.py"].reason
