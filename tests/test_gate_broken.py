"""A model's fix of a file that does not parse: it may mend the syntax, and nothing new may come in with that."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_model_gate import gate, refused

from fixbot.patchers.model.gate import CODE, DELETION, NETWORK, PROCESS

FILE = '''\
import os
import subprocess
from urllib.request import (
    Request,
    urlopen,
)

"""
os.system("rm -rf /")
"""


def build(name)
    subprocess.run(["make", name], check=True)
    os.remove("build.log")
    # os.remove("everything")
    assert name
    print(f"""
{eval(name)}""")
    return urlopen(Request("https://api.example.com"))


def read(text):
    return eval(text)
'''
MENDED = FILE.replace("build(name)\n", "build(name):\n")
GOOD = {
    "a colon": (FILE, MENDED),
    "a bracket on the line that deletes": ("import os\n\n\ndef f(x):\n    os.remove(x\n", "import os\n\n\ndef f(x):\n    os.remove(x)\n"),
    "an import with a comma too many": ("import os, sys,\n\nos.remove(sys.argv[1])\n", "import os, sys\n\nos.remove(sys.argv[1])\n"),
    "indentation": ("import requests\n\n\ndef f(x):\nrequests.get(x)\n", "import requests\n\n\ndef f(x):\n    requests.get(x)\n"),
    "print of Python 2": ("import os\nprint 'a'\nos.remove('a')\n", "import os\nprint('a')\nos.remove('a')\n"),
    "marks of a merge": (
        "import os\n<<<<<<< HEAD\nA = 1\n=======\nA = 2\n>>>>>>> other\nos.remove('a')\n",
        "import os\nA = 2\nos.remove('a')\n",
    ),
    "a string without its end": ("A = 'x\nimport os\nos.remove('a')\n", "A = 'x'\nimport os\nos.remove('a')\n"),
    "an import of something harmless": ("def f(x)\n    return x\n", "import json\n\n\ndef f(x):\n    return json.loads(x)\n"),
    "removal of what it could do": (FILE, MENDED.replace('    os.remove("build.log")\n', "")),
    "a temporary file removed": (
        "import os, tempfile\n\n\ndef f(x)\n    return x\n",
        "import os, tempfile\n\n\ndef f(x):\n    path = tempfile.mktemp()\n    os.remove(path)\n    return x\n",
    ),
    "other line ends": ("import os\r\nif 1\r\n    os.remove('a')\r\n", "import os\r\nif 1:\r\n    os.remove('a')\r\n"),
}
BAD = {
    "a program": (FILE, MENDED.replace("    assert", "    os.system(name)\n    assert"), PROCESS),
    "another program": (FILE, MENDED.replace('"make", name', '"sh", name'), PROCESS),
    "a program twice": (FILE, MENDED.replace("    assert", '    subprocess.run(["make", name], check=True)\n    assert'), PROCESS),
    "a comment made code": (FILE, MENDED.replace("# os.remove", "os.remove"), DELETION),
    "a text made code": (FILE, MENDED.replace('"""\nos.system("rm -rf /")\n"""', 'os.system("rm -rf /")'), PROCESS),
    "the end of a text moved": (FILE, MENDED.replace('"""\nos.system("rm -rf /")\n"""', '""""""\nos.system("rm -rf /")\n""""""'), PROCESS),
    "another file removed": (FILE, MENDED.replace("build.log", "build.py"), DELETION),
    "eval": (FILE, MENDED.replace("    assert", "    eval(name)\n    assert"), CODE),
    "eval in a text over several lines": (FILE, MENDED.replace('{eval(name)}', '{eval(name)}{eval(name)}'), CODE),
    "an ordinary name made a program": ("def f(run)\n    run('x')\n", "from subprocess import run\n\n\ndef f():\n    run('x')\n", PROCESS),
    "a name bound anew": (
        "from safe import run\n\n\ndef f(x)\n    run(x)\n",
        "from subprocess import run\n\n\ndef f(x):\n    run(x)\n",
        PROCESS,
    ),
    "a built-in no longer hidden": ("from safe import eval\n\n\ndef f(x)\n    eval(x)\n", "def f(x):\n    eval(x)\n", CODE),
    "a module for the network": ("def f(x)\n    return x\n", "import socket\n\n\ndef f(x):\n    return socket.socket()\n", NETWORK),
    "a module that the repository lacks": ("def f(x)\n    return x\n", "import evil\n\n\ndef f(x):\n    return x\n", "does not use"),
    "no assert any more": (FILE, MENDED.replace("    assert name\n", ""), "assert"),
    "an assert that cannot fail": (FILE, MENDED.replace("assert name", "assert True"), "assert"),
    "a check muted": (FILE, MENDED.replace("return eval(text)", "return eval(text)  # noqa"), "mutes"),
    "still no Python": (FILE, FILE.replace("build(name)", "build(name"), "does not parse"),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_mended(tmp_path: Path, name: str) -> None:
    old, new = GOOD[name]
    with pytest.raises(SyntaxError):
        compile(old, "old", "exec")
    assert gate(tmp_path, old, new) == new.encode()


@pytest.mark.parametrize("name", BAD)
def test_nothing_comes_in_with_it(tmp_path: Path, name: str) -> None:
    old, new, reason = BAD[name]
    with pytest.raises(SyntaxError):
        compile(old, "old", "exec")
    assert reason in refused(tmp_path, old, new)


def test_a_rule_may_allow_an_ability_there_too(tmp_path: Path) -> None:
    new = "import os\n\n\ndef f(x):\n    os.remove(x)\n"
    assert gate(tmp_path, "import os\n\n\ndef f(x)\n    return x\n", new, allows=(DELETION,)) == new.encode()


def test_what_cannot_be_decoded_is_not_looked_at(tmp_path: Path) -> None:
    assert "NUL" in refused(tmp_path, b"x = 1\0\n", b"x = 1\n")
    assert "utf-8" in refused(tmp_path, b"x = '\xff'\n", b"x = 'y'\n")
