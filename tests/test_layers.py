"""Any subset of a run's fixes that holds what it needs can be applied without the others."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixbot.detectors.finding import Safety
from fixbot.patchers.layers import layers
from fixbot.patchers.patch import ConflictError, Edit, Origin, Patch, apply_patches, blob_id

BASE = b"import os\n\n\ndef one():\n    return os.getcwd()\n\n\ndef two():\n    return wave.open('x')\n"


def patch(name: str, text: bytes, *changes: tuple[bytes, bytes], path: str = "a.py") -> Patch:
    """A patch of ``text`` that replaces each first stretch by the second."""
    edits = tuple(Edit(path, text.index(old), text.index(old) + len(old), new.decode()) for old, new in changes)
    return Patch(name, name, Origin.CODEMOD, Safety.SAFE, {path: blob_id(text)}, edits)


def insertion(name: str, text: bytes, before: bytes, new: bytes) -> Patch:
    place = text.index(before)
    return Patch(name, name, Origin.CODEMOD, Safety.SAFE, {"a.py": blob_id(text)}, (Edit("a.py", place, place, new.decode()),))


def after(text: bytes, *patches: Patch) -> bytes:
    return apply_patches(patches, {"a.py": text})["a.py"]


def test_fixes_of_one_round_stand_on_nothing() -> None:
    one, two = patch("one", BASE, (b"getcwd", b"getcwdb")), patch("two", BASE, (b"'x'", b"'y'"))
    stack = layers([one, two], {"a.py": BASE})
    assert stack.needs == [frozenset(), frozenset()]
    assert stack.content([1])["a.py"] == BASE.replace(b"'x'", b"'y'")
    assert stack.content([0, 1])["a.py"] == after(BASE, one, two)


def test_a_later_fix_elsewhere_can_go_without_the_earlier_one() -> None:
    one = patch(
        "one", BASE, (b"    return os.getcwd()\n", b"    try:\n        return os.getcwd()\n    except OSError:\n        return ''\n")
    )
    middle = after(BASE, one)
    two = patch("two", middle, (b"'x'", b"'y'"))
    stack = layers([two, one], {"a.py": BASE})
    assert [one.finding for one in stack.patches] == ["one", "two"]
    assert stack.needs[1] == frozenset()
    assert stack.content([1])["a.py"] == BASE.replace(b"'x'", b"'y'")
    assert stack.content([0, 1])["a.py"] == after(middle, two)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"os.getcwd()", b"str(os.getcwd())"),
        (b"        return ''\n", b"        return '.'\n"),
        (b"except OSError:", b"except (OSError, ValueError):"),
    ],
)
def test_a_fix_of_lines_that_another_fix_wrote_needs_it(old: bytes, new: bytes) -> None:
    one = patch(
        "one", BASE, (b"    return os.getcwd()\n", b"    try:\n        return os.getcwd()\n    except OSError:\n        return ''\n")
    )
    stack = layers([one, patch("two", after(BASE, one), (old, new))], {"a.py": BASE})
    assert stack.needs[1] == {0}
    assert stack.closure([1]) == {0, 1}


def test_a_line_inserted_into_an_indented_block_needs_the_fix_that_indented_it() -> None:
    one = patch("one", BASE, (b"    return os.getcwd()\n", b"    with guard():\n        return os.getcwd()\n"))
    middle = after(BASE, one)
    stack = layers([one, insertion("two", middle, b"        return os", b"        check()\n")], {"a.py": BASE})
    assert stack.needs[1] == {0}


def test_an_import_that_a_later_fix_uses_comes_with_either() -> None:
    one = Patch("one", "one", Origin.CODEMOD, Safety.SAFE, {"a.py": blob_id(BASE)}, (Edit("a.py", 10, 10, "import wave\n"),))
    middle = after(BASE, one)
    two = patch("two", middle, (b"os.getcwd()", b"wave.Error"))
    stack = layers([one, two], {"a.py": BASE})
    assert stack.needs == [frozenset(), frozenset()]
    assert stack.content([1])["a.py"] == after(BASE, one).replace(b"os.getcwd()", b"wave.Error")
    assert list(stack.steps([0, 1])) == [(0, {"a.py": after(BASE, one)}), (1, stack.content([0, 1]))]
    assert list(stack.steps([1])) == [(1, stack.content([1]))]


def test_a_fix_that_is_nothing_but_an_import_comes_before_those_that_use_it() -> None:
    edit = Edit("a.py", 10, 10, "import wave\n")
    change = Edit("a.py", BASE.index(b"'x'"), BASE.index(b"'x'") + 3, "'y'")
    made = [
        Patch(name, name, Origin.CODEMOD, Safety.SAFE, {"a.py": blob_id(BASE)}, edits)
        for name, edits in (("one", (edit, change)), ("two", (edit,)))
    ]
    steps = list(layers(made, {"a.py": BASE}).steps([0, 1]))
    assert steps == [(1, {"a.py": after(BASE, made[1])}), (0, {"a.py": after(BASE, made[0])})]


def test_a_name_that_an_earlier_fix_defined_is_needed() -> None:
    one = insertion("one", BASE, b"\ndef one", b"\nlogger = object()\n")
    two = patch("two", after(BASE, one), (b"'x'", b"logger"))
    assert layers([one, two], {"a.py": BASE}).needs[1] == {0}


def test_names_that_the_base_knows_are_nothing_new() -> None:
    one = insertion("one", BASE, b"\ndef one", b"\nplace = os.curdir\n")
    two = patch("two", after(BASE, one), (b"'x'", b"os"))
    assert layers([one, two], {"a.py": BASE}).needs[1] == frozenset()


def test_the_same_import_of_two_fixes_is_shared_and_other_common_edits_are_not() -> None:
    edit = Edit("a.py", 10, 10, "import wave\n")
    same = Edit("a.py", BASE.index(b"'x'"), BASE.index(b"'x'") + 3, "'y'")
    made = [Patch(name, name, Origin.CODEMOD, Safety.SAFE, {"a.py": blob_id(BASE)}, (edit, same)) for name in ("one", "two")]
    stack = layers(made, {"a.py": BASE})
    assert next(stack.steps([0, 1])) == (None, {"a.py": BASE.replace(b"import os\n", b"import os\nimport wave\n")})
    assert stack.content([0]) == stack.content([0, 1]) == {"a.py": after(BASE, made[0])}


def test_a_patch_of_other_files_fits_nowhere() -> None:
    with pytest.raises(ConflictError):
        layers([patch("one", BASE + b"#", (b"os", b"us"))], {"a.py": BASE})


LINES = [b"not done\n"] + [b"line %d\n" % number for number in range(6)]


@given(st.data())
def test_every_subset_is_what_its_fixes_do_and_nothing_else(data: st.DataObject) -> None:
    base = b"".join(LINES)
    text, made, expected = base, list[Patch](), dict[str, bytes]()
    for round_ in range(2):
        here: list[Patch] = []
        for number in data.draw(st.lists(st.integers(0, 5), unique=True, max_size=3)):
            old = b"line %d\n" % number
            if old in text:
                name = f"{round_}{number}"
                expected[name] = b"done %d\n" % number
                here.append(patch(name, text, (old, expected[name])))
        text = after(text, *here) if here else text
        made += here
    stack = layers(made, {"a.py": base})
    assert not any(stack.needs)
    for size in range(1, len(made) + 1):
        for chosen in combinations(range(len(made)), size):
            want = base
            for number in chosen:
                name = stack.patches[number].finding
                want = want.replace(b"line %s\n" % name[1:].encode(), expected[name])
            assert stack.content(chosen)["a.py"] == want
            assert [number for number, _ in stack.steps(chosen)] == list(chosen)
            assert list(stack.steps(chosen))[-1][1]["a.py"] == want
