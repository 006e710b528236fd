"""Every rule's page: found exactly where marked, fixed as shown, nothing else changed, nothing left to find afterwards."""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections import Counter
from collections.abc import Iterable
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest
from rule_pages import Example, examples, write

from fixbot.detectors.finding import Finding, FixKind, Severity
from fixbot.detectors.project import discover
from fixbot.detectors.registry import ENTRY_POINTS, External, Report, Rule, all_rules, is_selected, rule
from fixbot.detectors.scan import Options, scan
from fixbot.detectors.source import SourceFile
from fixbot.patchers.codemod import Abstain, find_codemod
from fixbot.patchers.patch import Patch, apply_patches, conflicts
from fixbot.patchers.propose import make_patch

RULES = list(all_rules().values())
EXAMPLES = [pytest.param(one, example, id=example.name) for one in RULES for example in examples(one)]


def find(root: Path, one: Rule) -> list[Finding]:
    return list(scan(discover(root), Options(select=(one.id,))).findings)


def fix_all(root: Path, one: Rule) -> None:
    """Apply codemods until none has anything left to do."""
    for _ in range(5):
        batch: list[Patch] = []
        for finding in find(root, one):
            try:
                patch = make_patch(finding, root)
            except Abstain:
                continue
            if not any(conflicts(patch, other) for other in batch):
                batch.append(patch)
        if not batch:
            return
        base = {path: (root / path).read_bytes() for patch in batch for path in patch.paths}
        for path, data in apply_patches(batch, base).items():
            (root / path).write_bytes(data)


def comments(text: str) -> Counter[str]:
    return Counter(token.string for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type == tokenize.COMMENT)


@pytest.mark.parametrize(("one", "example"), EXAMPLES)
def test_example(one: Rule, example: Example, tmp_path: Path) -> None:
    write(example.files, tmp_path)
    found = find(tmp_path, one)
    assert sorted({(finding.path, finding.span.line) for finding in found}) == sorted(set(example.findings))
    if example.fixed is None:
        return
    fix_all(tmp_path, one)
    after = {path: (tmp_path / path).read_text("utf-8") for path in example.fixed}
    assert after == example.fixed
    for path, text in after.items():
        if path.endswith(".py"):
            ast.parse(text)
            assert not comments(example.files[path]) - comments(text)
    remaining = {(finding.path, finding.key) for finding in find(tmp_path, one)}
    assert not remaining & {(finding.path, finding.key) for finding in found if finding.fix.kind is FixKind.CODEMOD}
    fix_all(tmp_path, one)
    assert {path: (tmp_path / path).read_text("utf-8") for path in example.fixed} == example.fixed


@pytest.mark.parametrize("one", RULES, ids=lambda one: one.id)
def test_page_is_complete(one: Rule) -> None:
    page = one.page.read_text("utf-8")
    for heading in ("## Why it is a bug", "## What it cannot see", "## Fix"):
        assert heading in page
    assert page.startswith(f"# {one.id}\n")
    assert one.summary
    cases = list(examples(one))
    if one.external:  # its engine's own tests show what it finds
        assert not cases
        return
    assert "## Examples" in page
    assert "## Left alone" in page
    assert len([case for case in cases if not case.findings]) >= 1


@pytest.mark.parametrize("one", RULES, ids=lambda one: one.id)
def test_codemod_exists_exactly_where_the_rule_offers_one(one: Rule) -> None:
    offered = any(check.fix.kind is FixKind.CODEMOD for check in (*one.checks, *filter(None, [one.external])))
    assert offered == (find_codemod(one.id) is not None)


def test_external_rule_is_selected_and_muted_but_not_run(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1  # fixbot: ignore[reported-bug] known\n")
    found = scan(discover(tmp_path), Options(select=("reports", "unused-suppression")))
    assert found.findings == ()  # the scan cannot tell whether the comment mutes anything
    assert found.rules == ("unused-suppression",)
    assert is_selected("reported-bug", ("reports",))
    assert is_selected("reported-bug")
    assert not is_selected("reported-bug", ("errors",))
    assert not is_selected("reported-bug", (), ("reported-bug",))


def test_module_without_a_rule_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def check(node: ast.AST, source: SourceFile) -> Iterable[Report]:
        return ()

    both = {"RULE": External(Severity.LOW), "check": rule(ast.Call, severity=Severity.LOW)(check)}
    for name, content in (("both", both), ("neither", {})):
        module = ModuleType(f"group.{name}")
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        entry = EntryPoint(name, module.__name__, ENTRY_POINTS)

        def entries(group: str, entry: EntryPoint = entry) -> list[EntryPoint]:
            return [entry]

        monkeypatch.setattr("importlib.metadata.entry_points", entries)
        with pytest.raises(ValueError, match=rf"group\.{name} must hold either"):
            all_rules.__wrapped__()
