"""Add the import that binds the name."""

from __future__ import annotations

from collections.abc import Iterable

from fixbot.detectors.finding import Finding
from fixbot.patchers.codemod import Abstain, Tree
from fixbot.patchers.patch import Edit


def fix(finding: Finding, tree: Tree) -> Iterable[Edit]:
    """The detector decided which module; here it only finds its place among the imports."""
    if "module" not in finding.facts:
        raise Abstain("no single import would bind the name")
    target = tree.target(finding)
    target.use_import(finding.facts["module"], finding.facts["name"])
    return target.edits()
