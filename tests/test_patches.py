"""Patches: edits, conflicts, subsets in any order, the gate's refusals, imports in their place."""

from __future__ import annotations

import os
from itertools import permutations
from pathlib import Path

import pytest
from conftest import write_tree
from hypothesis import given
from hypothesis import strategies as st

from fixbot.detectors.finding import Safety
from fixbot.detectors.source import SourceFile
from fixbot.patchers.difference import edits_between, unified
from fixbot.patchers.edits import GateError, check_patch
from fixbot.patchers.imports import head_edits
from fixbot.patchers.patch import ConflictError, Edit, Origin, Patch, apply_edits, apply_patches, blob_id, conflicts, patch_from_json

LINES = st.lists(st.sampled_from([b"a\n", b"b\n", b"  c\r\n", b"\n", "ü\n".encode(), b"d"]), max_size=12).map(b"".join)


def patch(base: bytes, *edits: Edit, path: str = "a.py") -> Patch:
    return Patch("f", "rule", Origin.CODEMOD, Safety.SAFE, {path: blob_id(base)}, edits)


@given(LINES, LINES)
def test_edits_between_turn_old_into_new(old: bytes, new: bytes) -> None:
    assert apply_edits(old, edits_between("a", old, new)) == new


@given(LINES)
def test_no_change_needs_no_edit(data: bytes) -> None:
    assert edits_between("a", data, data) == ()


def test_patches_survive_json() -> None:
    one = patch(b"x", Edit("a.py", 0, 1, "\xff\n"))
    assert patch_from_json(one.to_json()) == one


def test_subsets_apply_in_any_order() -> None:
    base = b"one\ntwo\nthree\nfour\n"
    patches = [patch(base, Edit("a.py", at, at + 1, new)) for at, new in ((0, "O"), (4, "T"), (8, "TH"), (14, "F"))]
    patches.append(patch(base, Edit("a.py", 4, 4, "import x\n")))
    patches.append(patch(base, Edit("a.py", 4, 4, "import y\n"), Edit("a.py", 4, 4, "import x\n")))
    patches.append(patch(base, Edit("a.py", 4, 4, "\nlog = 1\n")))
    assert conflicts(patches[1], patches[4])
    del patches[1]
    assert not any(conflicts(one, other) for one in patches for other in patches)
    results = {apply_patches(order, {"a.py": base})["a.py"] for order in permutations(patches)}
    assert results == {b"One\nimport x\nimport y\n\nlog = 1\ntwo\nTHhree\nFour\n"}
    other = patch(base, Edit("a.py", 4, 4, "\ntask = 1\n"))
    assert conflicts(patches[-1], other)


def test_overlaps_and_other_bases_are_conflicts() -> None:
    one, other = patch(b"abc", Edit("a.py", 0, 2, "x")), patch(b"abc", Edit("a.py", 1, 3, "y"))
    assert conflicts(one, other)
    assert not conflicts(one, one)
    with pytest.raises(ConflictError):
        apply_patches([one, other], {"a.py": b"abc"})
    with pytest.raises(ConflictError):
        apply_patches([one], {"a.py": b"abd"})
    with pytest.raises(ConflictError):
        apply_edits(b"abc", [Edit("a.py", 2, 9, "")])


def test_diff_of_a_file_without_a_last_newline() -> None:
    assert unified("a", b"x\ny", b"x\nz\n").splitlines()[3:] == [" x", "-y", "\\ No newline at end of file", "+z"]


REFUSED = [
    "/etc/passwd",
    "../outside.py",
    "a/../../outside.py",
    "./a.py",
    "a//b.py",
    "a\\b.py",
    "a\0b.py",
    "a\nb.py",
    "a\x1b[31m.py",
    "a\u202eb.py",
    ".git/config",
    ".GIT/hooks/pre-commit",
    "sub/.git/config",
    "git~1/config",
    ".git /config",
    ".git./config",
    ".github/workflows/ci.yml",
    ".gitlab-ci.yml",
    ".gitattributes",
    "uv.lock",
    "poetry.lock",
    "requirements.txt",
    "pyproject.toml",
    "setup.py",
    "conftest.py",
    "tests/test_a.py",
    "test_a.py",
    "tests/helpers.py",
    "sitecustomize.py",
    "db/migrations/20260112_tables.sql",
    "migration/sub/V1__tables.sql",
    "link.py",
    "folder/inside.py",
    "pipe.py",
    "hard.py",
    "untracked.py",
    "gone.py",
    "x" * 300 + ".py",
    "",
]


@pytest.mark.parametrize("path", REFUSED)
def test_gate_refuses(tmp_path: Path, path: str) -> None:
    root = tmp_path / "root"
    write_tree(tmp_path, {"outside.py": "x = 1\n", "elsewhere/inside.py": "x = 1\n"})
    plain = [name for name in REFUSED if name and "\0" not in name and len(name) < 200 and not name.startswith(("/", "..", "a/..", "./"))]
    write_tree(root, {name: "x = 1\n" for name in plain if name not in ("gone.py", "link.py", "pipe.py", "folder/inside.py", "a//b.py")})
    (root / "link.py").symlink_to(tmp_path / "outside.py")
    (root / "folder").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(root / "pipe.py")
    os.link(root / "hard.py", tmp_path / "other.py")
    tracked = [name for name in REFUSED if name != "untracked.py"]
    one = patch(b"x = 1\n", Edit(path, 4, 5, "2"), path=path)
    with pytest.raises(GateError):
        check_patch(one, root, tracked)
    assert (tmp_path / "outside.py").read_text() == (tmp_path / "elsewhere" / "inside.py").read_text() == "x = 1\n"


@pytest.mark.parametrize(
    ("edits", "reason"),
    [
        ((), "changes nothing"),
        ((Edit("a.py", 4, 5, "1"),), "changes nothing"),
        ((Edit("a.py", 4, 5, "("),), "does not parse"),
        ((Edit("a.py", 4, 5, "1\n" * 300),), "changes 300 lines"),
        ((Edit("a.py", 4, 5, "'" + "x" * 1024 * 1024 + "'"),), "larger than 1 MiB"),
        ((Edit("a.py", 5, 99, ""),), "overlap"),
        ((Edit("b.py", 0, 0, "y = 1\n"),), "does not say"),
    ],
)
def test_gate_refuses_content(tmp_path: Path, edits: tuple[Edit, ...], reason: str) -> None:
    write_tree(tmp_path, {"a.py": "x = 1\n", "b.py": "x = 1\n"})
    with pytest.raises(GateError, match=reason):
        check_patch(patch(b"x = 1\n", *edits), tmp_path, ["a.py", "b.py"])
    assert (tmp_path / "a.py").read_text() == "x = 1\n"


def test_gate_allows_requirements_where_the_rule_may(tmp_path: Path) -> None:
    write_tree(tmp_path, {"requirements.txt": "a\n"})
    one = patch(b"a\n", Edit("requirements.txt", 2, 2, "b\n"), path="requirements.txt")
    assert check_patch(one, tmp_path, ["requirements.txt"], dependencies=True) == {"requirements.txt": b"a\nb\n"}


@pytest.mark.parametrize("path", ["db/schema.sql", "migrations.sql", "app/migrations/helpers.py", "docs/migrations/plan.md"])
def test_gate_allows_what_only_resembles_a_migration(tmp_path: Path, path: str) -> None:
    write_tree(tmp_path, {path: "x = 1\n"})
    assert check_patch(patch(b"x = 1\n", Edit(path, 4, 5, "2"), path=path), tmp_path, [path]) == {path: b"x = 2\n"}


IMPORTS = [
    ("x = 1\n", ("json", None), "import json\n\nx = 1\n"),
    ("def f(): ...\n", ("json", None), "import json\n\n\ndef f(): ...\n"),
    ('"""Doc."""\n\nx = 1\n', ("json", None), '"""Doc."""\n\nimport json\n\nx = 1\n'),
    ("#!/usr/bin/env python\n# licence\n\nx = 1\n", ("json", None), "#!/usr/bin/env python\n# licence\nimport json\n\nx = 1\n"),
    ("from __future__ import annotations\n\nx = 1\n", ("json", None), "from __future__ import annotations\n\nimport json\n\nx = 1\n"),
    ("import abc\nimport sys\n", ("json", None), "import abc\nimport json\nimport sys\n"),
    ("import sys\nimport abc\n", ("json", None), "import sys\nimport abc\nimport json\n"),
    ("import abc\nfrom os import path\n", ("json", None), "import abc\nimport json\nfrom os import path\n"),
    ("import abc\n\nimport requests\n", ("json", None), "import abc\nimport json\n\nimport requests\n"),
    ("import requests\n", ("json", None), "import json\n\nimport requests\n"),
    ("from app import x\n", ("json", None), "import json\n\nfrom app import x\n"),
    ("from typing import Any\n", ("typing", "Optional"), "from typing import Any, Optional\n"),
    (
        "from typing import (\n    Any,  # why\n    List,\n)\n",
        ("typing", "Optional"),
        "from typing import (\n    Any,  # why\n    List,\n    Optional,\n)\n",
    ),
    ("from typing import Any  # noqa\n", ("typing", "Optional"), "from typing import Any, Optional  # noqa\n"),
    ("import json\n", ("json", None), None),
    ("import json as j\n", ("json", None), "import json as j\nimport json\n"),
    ("import abc; x = 1\n", ("json", None), "import json\n\nimport abc; x = 1\n"),
    ("import abc\r\nx = 1\r\n", ("json", None), "import abc\r\nimport json\r\nx = 1\r\n"),
    ("\ufeffx = 1\n", ("json", None), "\ufeffimport json\n\nx = 1\n"),
    ("import abc", ("json", None), "import abc\nimport json"),
]


@pytest.mark.parametrize(("before", "wanted", "after"), IMPORTS)
def test_imports_go_where_a_person_would_put_them(before: str, wanted: tuple[str, str | None], after: str | None) -> None:
    data = before.encode()
    edits = head_edits(SourceFile("a.py", data), [wanted])
    assert apply_edits(data, edits).decode() == (before if after is None else after)
