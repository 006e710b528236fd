"""Replies of models become exact edits of real bytes, or are refused with a reason that the model can act on."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixbot.patchers.model.matching import make_edits
from fixbot.patchers.model.reply import MAX_REPLY, EditError, Replacement, abstention, read_reply, reply_schema
from fixbot.patchers.patch import apply_edits

APP = b"""\
import os


def load(path):
    if not path:
        return None
    with open(path) as file:
        return file.read()


def save(path, text):
    with open(path, "w") as file:
        file.write(text)
"""
TABS = b"def f(x):\n\tif x:\n\t\ty = 1\n\t\tz = 2\n\treturn x\n"


def block(search: str, replace: str, head: str = "") -> str:
    body = f"{replace}\n" if replace else ""
    return f"{head}<<<<<<< SEARCH\n{search}\n=======\n{body}>>>>>>> REPLACE\n"


def applied(reply: str, files: Mapping[str, bytes] | bytes = APP, path: str = "app.py") -> dict[str, bytes]:
    """The files that a reply changes, with their new bytes."""
    base = files if isinstance(files, Mapping) else {path: files}
    edits = make_edits(read_reply(reply, path).replacements, base)
    return {name: apply_edits(base[name], [edit for edit in edits if edit.path == name]) for name in {edit.path for edit in edits}}


def one(reply: str, data: bytes = APP) -> bytes:
    changed = applied(reply, data)
    assert changed.keys() == {"app.py"}
    return changed["app.py"]


def refused(reply: str, files: Mapping[str, bytes] | bytes = APP) -> str:
    with pytest.raises(EditError) as caught:
        applied(reply, files)
    return str(caught.value)


GOOD = APP.replace(b"return None", b'return ""')
EDIT = block("        return None", '        return ""')
DIFF = """\
--- a/app.py
+++ b/app.py
@@ -4,4 +4,4 @@ def load(path):
 def load(path):
     if not path:
-        return None
+        return ""
     with open(path) as file:
"""
JSON = json.dumps({"edits": [{"path": "app.py", "search": "        return None", "replace": '        return ""'}], "abstain": ""})

# Replies that all mean the same edit, with what models put around it
SAME = {
    "bare": EDIT,
    "path above": f"app.py\n{EDIT}",
    "fence with path above": f"app.py\n```python\n{EDIT}```\n",
    "path inside the fence": f"```\napp.py\n{EDIT}```\n",
    "path in the info string": f"```python app.py\n{EDIT}```",
    "path behind a colon": f"```python:app.py\n{EDIT}```",
    "path as a title": f'```python title="app.py"\n{EDIT}```',
    "heading": f"### `app.py`\n\n```\n{EDIT}```",
    "bold": f"**app.py**\n```\n{EDIT}```",
    "comment": f"# app.py\n{EDIT}",
    "File:": f"File: app.py\n{EDIT}",
    "dot slash": f"./app.py\n{EDIT}",
    "prose around": f"The function returns None. Here is the fix:\n\n```python\n{EDIT}```\n\nThis keeps callers working.",
    "one word before": f"Fixed.\n{EDIT}",
    "two words before": f"and/or nothing\n{EDIT}",
    "windows line ends": f"app.py\n{EDIT}".replace("\n", "\r\n"),
    "tildes": f"~~~\napp.py\n{EDIT}~~~",
    "marks without words": EDIT.replace(" SEARCH", "").replace(" REPLACE", ""),
    "other marks": EDIT.replace("SEARCH", "ORIGINAL").replace("REPLACE", "UPDATED"),
    "indented block": "  " + EDIT.replace("\n", "\n  "),
    "numbers copied": block("   6|         return None", '   6|         return ""'),
    "numbers copied into the quote only": block("   6|         return None", '        return ""'),
    "blank lines around the quote": block("\n        return None\n", '\n        return ""\n'),
    "space at the end": block("        return None   ", '        return ""'),
    "wrong indentation": block("return None", 'return ""'),
    "deeper indentation": block("            return None", '            return ""'),
    "block twice": EDIT + EDIT,
    "diff": DIFF,
    "fenced diff": f"Here:\n```diff\n{DIFF}```\nDone.",
    "git diff": f"diff --git a/app.py b/app.py\nindex 123..456 100644\n{DIFF}",
    "diff without prefixes": DIFF.replace("a/app", "app").replace("b/app", "app"),
    "diff with wrong line numbers": DIFF.replace("-4,4 +4,4", "-400,4 +17,4"),
    "diff with wrong counts": DIFF.replace("-4,4 +4,4", "-4,9 +4,1"),
    "diff without counts": DIFF.replace("@@ -4,4 +4,4 @@ def load(path):", "@@ @@"),
    "diff with dots": DIFF.replace("@@ -4,4 +4,4 @@ def load(path):", "@@ ... @@"),
    "diff without leading spaces": DIFF.replace("\n def load", "\ndef load"),
    "diff after prose like a header": f"rename nothing, new file not needed:\n{DIFF}",
    "diff with time stamps": DIFF.replace("app.py\n", "app.py\t2024-01-01 00:00:00\n"),
    "json": JSON,
    "fenced json": f"```json\n{JSON}\n```",
    "json with numbers": JSON.replace("        return", "   6|         return"),
    "json with windows line ends": JSON.replace('""",', '",').replace("return None", "return None\\r\\n"),
}


@pytest.mark.parametrize("name", SAME)
def test_the_same_edit_in_many_forms(name: str) -> None:
    assert one(SAME[name]) == GOOD


def test_a_block_without_a_path_belongs_to_the_file_of_the_block_before() -> None:
    files = {"app.py": APP, "pkg/other.py": b"a = 1\nb = 2\n"}
    reply = "pkg/other.py\n" + block("a = 1", "a = 3") + "\nand\n\n" + block("b = 2", "b = 4")
    assert applied(reply, files) == {"pkg/other.py": b"a = 3\nb = 4\n"}


def test_edits_of_several_files() -> None:
    files = {"app.py": APP, "pkg/other name.py": b"a = 1\n"}
    assert applied(EDIT + "\npkg/other name.py\n" + block("a = 1", "a = 2"), files) == {"app.py": GOOD, "pkg/other name.py": b"a = 2\n"}
    diff = DIFF + "--- a/b.py\n+++ b/b.py\n@@ -1 +1 @@\n-a = 1\n+a = 2\n"
    assert applied(diff, {"app.py": APP, "b.py": b"a = 1\n"}) == {"app.py": GOOD, "b.py": b"a = 2\n"}


def test_one_path_form_among_many_directories() -> None:
    """``a/`` is a diff's prefix, but it may also be a folder."""
    diff = "--- a/a/x.py\n+++ b/a/x.py\n@@ -1 +1 @@\n-a = 1\n+a = 2\n"
    assert applied(diff, {"a/x.py": b"a = 1\n"}) == {"a/x.py": b"a = 2\n"}


# What a reply may change in a file


def test_deletion_insertion_first_and_last_line() -> None:
    assert one(block("        file.write(text)", "")) == APP.replace(b"        file.write(text)\n", b"")
    assert one(block("import os", "import io\nimport os")) == b"import io\n" + APP
    assert one(block("import os", "")) == APP.removeprefix(b"import os\n")
    assert one(block("        file.write(text)", "        file.write(text)\n        file.flush()")) == APP + b"        file.flush()\n"


def test_a_file_without_final_newline_stays_without() -> None:
    data = b"a = 1\nb = 2"
    assert one(block("b = 2", "b = 3"), data) == b"a = 1\nb = 3"
    assert one(block("b = 2", "b = 2\nc = 3"), data) == b"a = 1\nb = 2\nc = 3"
    assert one(block("b = 2", "x = 0\nb = 2"), data) == b"a = 1\nx = 0\nb = 2"
    assert one(block("b = 2", ""), data) == b"a = 1"
    assert one(block("a = 1", "a = 9"), data) == b"a = 9\nb = 2"
    diff = "--- a/app.py\n+++ b/app.py\n@@ -2 +2,2 @@\n-b = 2\n\\ No newline at end of file\n+b = 2\n+c = 3\n\\ No newline at end of file\n"
    assert one(diff, data) == b"a = 1\nb = 2\nc = 3"


def test_windows_line_ends_stay() -> None:
    data = APP.replace(b"\n", b"\r\n")
    for reply in (EDIT, DIFF, JSON, EDIT.replace("\n", "\r\n")):
        assert one(reply, data) == GOOD.replace(b"\n", b"\r\n")
    assert one(block("import os", "import io\nimport os"), data) == b"import io\r\n" + data


def test_mixed_line_ends_stay_where_they_are() -> None:
    data = b"a = 1\r\nb = 2\nc = 3\nd = 4\n"
    assert one(block("a = 1", "a = 0"), data) == b"a = 0\r\nb = 2\nc = 3\nd = 4\n"
    assert one(block("a = 1\nb = 2", "a = 1\nb = 0\nx = 0"), data) == b"a = 1\r\nb = 0\nx = 0\nc = 3\nd = 4\n"
    assert one(block("b", "b = 1", "").replace("b\n", "b\n", 1), b"a\rb\rc\r") == b"a\rb = 1\rc\r"


def test_encodings_and_marks_stay() -> None:
    latin = "# -*- coding: latin-1 -*-\nname = 'Müller'\nage = 1\n".encode("latin-1")
    assert one(block("age = 1", "age = 'ä'"), latin) == latin.replace(b"age = 1", b"age = '\xe4'")
    assert one(block("name = 'Müller'", "name = 'Maier'"), latin) == latin.replace(b"M\xfcller", b"Maier")
    assert "cannot hold" in refused(block("age = 1", "age = '→'"), latin)
    marked = b"\xef\xbb\xbfimport os\nx = 1\n"
    assert one(block("import os", "import io"), marked) == b"\xef\xbb\xbfimport io\nx = 1\n"
    assert one(block("import os\nx = 1", "import os\nx = 2"), marked) == b"\xef\xbb\xbfimport os\nx = 2\n"
    assert "cannot be edited" in refused(EDIT, b"x = '\xff\xfe'\n")
    assert "cannot be edited" in refused(EDIT, b"x = 1\0\n")


def test_page_marks_and_odd_spaces_stay() -> None:
    data = b"a = 1\n\x0c\n\x0cdef f(x):   \n    return x \n\x0b\nb = '\xe2\x80\xa8'\n"
    assert one(block("def f(x):\n    return x", "def f(x):\n    return x + 1"), data) == data.replace(b"return x ", b"return x + 1")
    assert one(block("def f(x):", "def f(x, y):"), data) == data.replace(b"def f(x):   ", b"def f(x, y):")
    assert one(block("\x0cdef f(x):", "\x0cdef f(x, y):"), data) == data.replace(b"def f(x):   ", b"def f(x, y):")
    assert one(block("b = '\u2028'", "b = 1"), data) == data.replace(b"'\xe2\x80\xa8'", b"1")


def test_lines_that_do_not_change_keep_their_trailing_space() -> None:
    data = b"def f():   \n    a = 1\t\n    return a\n"
    assert one(block("def f():\n    a = 1\n    return a", "def f():\n    a = 1\n    return -a"), data) == data.replace(
        b"return a", b"return -a"
    )


def test_tabs_and_spaces() -> None:
    wanted = TABS.replace(b"\t\tz = 2\n", b"\t\tz = 3\n\t\tif z:\n\t\t\tz = 4\n")
    assert one(block("        y = 1\n        z = 2", "        y = 1\n        z = 3\n        if z:\n            z = 4"), TABS) == wanted
    assert one(block("\t\ty = 1\n\t\tz = 2", "\t\ty = 1\n\t\tz = 3\n\t\tif z:\n\t\t\tz = 4"), TABS) == wanted
    assert one(block("y = 1\nz = 2", "y = 1\nz = 3\nif z:\n    z = 4"), TABS) == wanted
    spaces = TABS.replace(b"\t", b"    ")
    assert one(block("\t\ty = 1\n\t\tz = 2", "\t\ty = 1\n\t\tz = 3\n\t\tif z:\n\t\t\tz = 4"), spaces) == wanted.replace(b"\t", b"    ")


def test_indentation_of_several_levels_is_carried_over() -> None:
    data = b"class A:\n    def f(self, x):\n        if x:\n            return 1\n        return 2\n"
    reply = block(
        "def f(self, x):\n    if x:\n        return 1", "def f(self, x):\n    if x is not None:\n        y = 1\n\n        return y"
    )
    assert one(reply, data) == (
        b"class A:\n    def f(self, x):\n        if x is not None:\n            y = 1\n\n            return y\n        return 2\n"
    )
    assert "not in the file" in refused(block("def f(self, x):\nif x:\nreturn 1", "pass"), data)  # levels lost: nothing to go by
    assert "not in the file" in refused(block("if x:\n    return 1\n    return 2", "pass"), data)  # another block structure
    assert "indented less" in refused(block("      return 2", "      x = 2\n    return x"), data)


# Several edits


def test_edits_next_to_each_other() -> None:
    data = b"a = 1\nb = 2\nc = 3\nd = 4\n"
    assert one(block("a = 1", "a = 9") + block("c = 3", "c = 8"), data) == b"a = 9\nb = 2\nc = 8\nd = 4\n"
    assert one(block("c = 3", "c = 8") + block("a = 1", "a = 9"), data) == b"a = 9\nb = 2\nc = 8\nd = 4\n"
    assert one(block("a = 1", "a = 9") + block("b = 2", "b = 8"), data) == b"a = 9\nb = 8\nc = 3\nd = 4\n"
    assert one(block("a = 1\nb = 2", "a = 9\nb = 2") + block("b = 2\nc = 3", "b = 2\nc = 8"), data) == b"a = 9\nb = 2\nc = 8\nd = 4\n"
    assert one(block("a = 1", "a = 1\nx = 0") + block("b = 2", "b = 8"), data) == b"a = 1\nx = 0\nb = 8\nc = 3\nd = 4\n"


def test_edits_of_the_same_lines_are_refused() -> None:
    data = b"a = 1\nb = 2\nc = 3\n"
    assert "two edits change the same line 2" in refused(block("b = 2", "b = 8") + block("b = 2\nc = 3", "b = 7\nc = 3"), data)
    assert "two edits" in refused(block("a = 1", "a = 1\nx = 0") + block("b = 2", "y = 0\nb = 2"), data)  # in which order?
    assert "two edits" in refused(block("a = 1\nb = 2\nc = 3", "") + block("b = 2", "b = 3"), data)


# Refusals, in words that help


def test_a_quote_that_is_not_there_shows_the_nearest_lines() -> None:
    reason = refused(block("    with open(path) as handle:\n        return handle.read()", "    pass"))
    assert "app.py: the quoted lines are not in the file." in reason
    assert "    7|     with open(path) as file:\n    8|         return file.read()" in reason
    assert "nearest" not in refused(block("zzz = qqqqqqq!!!", "x"))
    assert len(refused(block("y" * 500 + "x" * 3000, "x"), b"y" * 500 + b"x" * 2900 + b"\n")) < 1000


def test_an_ambiguous_quote_names_the_places() -> None:
    data = b"def f():\n    return 1\n\n\ndef g():\n    return 1\n"
    assert "occur 2 times (lines 2, 6)" in refused(block("    return 1", "    return 2"), data)
    assert one(block("def g():\n    return 1", "def g():\n    return 2"), data) == data[:-2] + b"2\n"
    assert "occur 2 times" in refused(block("return 1", "return 2"), data)
    assert "occur 2 times" in refused(block("a\nb", "c"), b"a\nb \na \nb\n")  # both differ from the quote only in trailing space
    assert one(block("a\nb", "c"), b"a\nb\na \nb\n") == b"c\na \nb\n"  # the exact place counts


@pytest.mark.parametrize(
    "path", ["../x.py", "/etc/passwd", "~/.bashrc", ".github/workflows/x.yml", "tests/test_app.py", "conftest.py", "other.py", "APP.PY"]
)
def test_other_files_are_refused(path: str) -> None:
    for reply in (
        f"{path}\n```\n{EDIT}```",
        DIFF.replace("a/app.py", f"a/{path}").replace("b/app.py", f"b/{path}"),
        json.dumps({"edits": [{"path": path, "search": "import os", "replace": "x"}], "abstain": ""}),
    ):
        reason = refused(reply)
        assert "is not a file that may be changed here; these are: `app.py`" in reason
        assert path in reason


@pytest.mark.parametrize(
    "diff",
    [
        "--- /dev/null\n+++ b/app.py\n@@ -0,0 +1 @@\n+x = 1\n",
        "--- a/app.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-import os\n",
        "--- a/app.py\n+++ b/other.py\n@@ -1 +1 @@\n-import os\n+import io\n",
        "diff --git a/app.py b/b.py\nrename from app.py\nrename to b.py\n--- a/app.py\n+++ b/b.py\n@@ -1 +1 @@\n-import os\n+import io\n",
        "diff --git a/app.py b/app.py\nold mode 100644\nnew mode 100755\n--- a/app.py\n+++ b/app.py\n@@ -1 +1 @@\n-import os\n+import io\n",
        "diff --git a/app.py b/app.py\ndeleted file mode 100644\n--- a/app.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-import os\n",
        "--- a/app.py\n+++ b/app.py\n",
        "@@ -1 +1 @@\n-import os\n+import io\n",
        "--- a/app.py\n+++ b/app.py\n@@ -0,0 +1 @@\n+import io\n",
    ],
)
def test_diffs_that_do_more_or_less_than_change_lines_are_refused(diff: str) -> None:
    refused(diff)


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "I cannot see a problem here.",
        "```python\ndef load(path):\n    return ''\n```",
        "<<<<<<< SEARCH\nimport os\n",
        "<<<<<<< SEARCH\nimport os\n=======\nimport io\n",
        EDIT + "<<<<<<< SEARCH\nimport os\n=======\nimpo",
        "<<<<<<< SEARCH\nimport os\n>>>>>>> REPLACE\n",
        "<<<<<<< SEARCH\n=======\nimport io\n>>>>>>> REPLACE\n",
        block("  ", "import io"),
        block("  12| ", "import io"),
        '{"edits": [{"path": "app.py", "search": "", "replace": "import io"}], "abstain": ""}',
        '{"edits": [{"path": "app.py", "search": "\\n", "replace": "import io"}], "abstain": ""}',
        '{"edits": [{"path": "app.py"}]}',
        '{"edits": "x", "abstain": ""}',
        "[" * 100_000,
        '{"edits":' * 20_000,
        block("import os", "import os"),
        block("import os", "import os   "),
        "".join(block("import os", f"import os{number}") for number in range(50)),
        json.dumps({"edits": [{"path": "app.py", "search": "import os", "replace": f"import os{n}"} for n in range(50)], "abstain": ""}),
    ],
)
def test_replies_without_a_usable_edit_are_refused(reply: str) -> None:
    assert 0 < len(refused(reply)) < 500


def test_five_megabytes_are_refused_at_once() -> None:
    assert f"more than {MAX_REPLY}" in refused("x" * 5_000_000)
    assert f"more than {MAX_REPLY}" in refused(block("import os", "x = 1\n" * 1_000_000))


def test_a_large_reply_within_the_limit_is_read_quickly() -> None:
    start = time.monotonic()
    assert refused("<<<<<<<\n" * 30_000)
    assert refused("=======\n" * 30_000)
    assert refused(block("a = 2\n" * 300, "b = 1"), b"a = 1\n" * 100_000)
    assert refused(block("a = 1\n" * 300, "b = 1"), b"a = 1\n" * 100_000)
    assert refused(block("x" * 200_000, "b = 1"), b"x" * 900_000)
    assert refused(block("a = 1\n" * 20_000, "b = 1"), b"a = 1\n" * 3_000)
    assert time.monotonic() - start < 20


# Marks inside code

RST = b'def f():\n    """Title.\n\n    Example\n    =======\n    text\n    """\n    return 1\n'


def test_a_line_of_equals_signs_inside_code() -> None:
    reply = block("    Example\n    =======\n    text", "    Example\n    =======\n    words")
    assert one(reply, RST) == RST.replace(b"text", b"words")
    assert one(block("    Example\n    =======\n    text", ""), RST) == RST.replace(b"    Example\n    =======\n    text\n", b"")
    flat = b"Example\n=======\ntext\n"
    assert "more than one line `=======`" in refused(block("Example\n=======\ntext", "Example\n=======\nwords"), flat)
    assert one(block("text", "words"), flat) == b"Example\n=======\nwords\n"
    diff = "--- a/app.py\n+++ b/app.py\n@@ -1,3 +1,3 @@\n Example\n =======\n-text\n+words\n"
    assert one(diff, flat) == b"Example\n=======\nwords\n"
    longer = b"Examples\n========\ntext\n"
    assert one(block("Examples\n========\ntext", "Examples\n========\nwords"), longer) == b"Examples\n========\nwords\n"


def test_fences_and_prompts_inside_code() -> None:
    data = b'"""Use it:\n\n```\n>>> f(1)\n1\n```\n"""\n\n\ndef f(x):\n    return x\n'
    assert one("```python\n" + block(">>> f(1)\n1\n```", ">>> f(1)\n2\n```") + "```", data) == data.replace(b"\n1\n", b"\n2\n")
    diff = "```diff\n--- a/app.py\n+++ b/app.py\n@@ -3,4 +3,4 @@\n ```\n >>> f(1)\n-1\n+2\n ```\n```\n"
    assert one(diff, data) == data.replace(b"\n1\n", b"\n2\n")


def test_lines_that_look_like_a_diff_inside_a_diff() -> None:
    data = b"-- old comment\nselect 1;\n-- other\nselect 2;\n"
    diff = "--- a/app.py\n+++ b/app.py\n@@ -1,4 +1,3 @@\n--- old comment\n select 1;\n--- other\n+-- new\n-select 2;\n+select 3;\n"
    assert one(diff, data) == b"select 1;\n-- new\nselect 3;\n"
    code = b"diff = 1\nx = diff\n"
    assert one("--- a/app.py\n+++ b/app.py\n@@ -1,2 +1,2 @@\ndiff = 1\n-x = diff\n+x = -diff\n", code) == b"diff = 1\nx = -diff\n"


def test_a_lone_carriage_return_cannot_hide_a_line() -> None:
    changed = one(block("import os", "import evil\rimport os"))
    assert b"\r" not in changed
    assert changed.startswith(b"import evil\nimport os\n")
    assert b"\r" not in one(JSON.replace("return None", "return None").replace('\\"\\"', "1\\rx = 2"))


# Abstention


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("ABSTAIN: the code is right", "the code is right"),
        ("**ABSTAIN:** the code\nis right\n\nMore words.", "the code is right"),
        ("I looked at it.\n\nABSTAIN - `load` is right", "`load` is right"),
        ("ABSTAIN", "the model gives no reason"),
        ("ABSTAIN.", "the model gives no reason"),
        ("```\nABSTAIN: no\n```", "no ```"),
        ('{"edits": [], "abstain": "it is right"}', "it is right"),
        ('{"edits": [], "abstain": ""}', "the model gives no reason"),
        ("ABSTAIN: " + "x" * 9999, "x" * 500),
    ],
)
def test_abstentions(reply: str, reason: str) -> None:
    answer = read_reply(reply, "app.py")
    assert (answer.abstained, answer.replacements) == (reason, ())


def test_what_is_no_abstention() -> None:
    assert abstention("I do not abstain: here is the fix") == ""
    assert abstention("ABSTAINED = 1") == ""
    assert read_reply(f"ABSTAIN: no\n{EDIT}", "app.py").replacements  # an edit counts more than a word
    assert read_reply(block("import os", "ABSTAIN: x"), "app.py").abstained == ""


def test_the_schema_asks_for_what_is_read() -> None:
    schema = reply_schema()
    assert (schema["required"], schema["additionalProperties"]) == (["edits", "abstain"], False)


# For all files and all replacements

LINE = st.text(st.sampled_from("ab =()'\té→\x0c"), max_size=8).map(lambda text: text.rstrip() + "x")
LINES = st.lists(LINE | st.just(""), min_size=1, max_size=12)
ENDS = st.sampled_from(["\n", "\r\n"])


@given(
    lines=LINES,
    new=st.lists(LINE, max_size=4),
    end=ENDS,
    final=st.booleans(),
    data=st.data(),
    form=st.sampled_from(["block", "diff", "json"]),
)
def test_the_result_is_the_intended_file_and_all_other_bytes_stay(
    lines: list[str], new: list[str], end: str, final: bool, data: st.DataObject, form: str
) -> None:
    lines = [f"{line}#{number}" if line else "" for number, line in enumerate(lines)] + ["last"]
    filled = [index for index, line in enumerate(lines) if line]
    first = data.draw(st.sampled_from(filled))
    last = data.draw(st.sampled_from([index for index in filled if index >= first])) + 1
    old = end.join(lines) + (end if final else "")
    wanted = [*lines[:first], *new, *lines[last:]]
    expected = end.join(wanted) + (end if final and wanted else "")
    search, replace = lines[first:last], new
    if form == "block":
        reply = block("\n".join(search), "\n".join(replace))
    elif form == "json":
        reply = json.dumps({"edits": [{"path": "app.py", "search": "\n".join(search), "replace": "\n".join(replace)}], "abstain": ""})
    else:
        rows = [f"-{line}" for line in search] + [f"+{line}" for line in replace]
        reply = "\n".join(["--- a/app.py", "+++ b/app.py", "@@ -1 +1 @@", *rows])
    if [line.lstrip("\f").rstrip() for line in search] == [line.lstrip("\f").rstrip() for line in replace]:
        assert "change nothing" in refused(reply, old.encode())
        return
    got = one(reply, old.encode()).decode()
    assert re.sub("\f", "", got) == re.sub("\f", "", expected)
    untouched = {*lines[:first], *lines[last:]}
    assert [line for line in got.split(end) if line in untouched and line] == [line for line in wanted if line in untouched and line]


@given(st.text(st.sampled_from('<>=SEARCHREPLACE\n `@-+ab{}":\\'), max_size=200))
def test_no_text_makes_the_reader_crash(text: str) -> None:
    with contextlib.suppress(EditError):
        make_edits(read_reply(text, "app.py").replacements, {"app.py": APP})


def test_replacements_made_elsewhere_keep_to_whole_lines() -> None:
    edits = make_edits([Replacement("app.py", "import os", "import io")], {"app.py": APP})
    assert apply_edits(APP, edits) == APP.replace(b"os", b"io", 1)
