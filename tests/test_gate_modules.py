"""What a model's fix, and its test, may name of network libraries and of modules that are new to the repository."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from fixbot.detectors.finding import Safety
from fixbot.detectors.source import SourceFile
from fixbot.patchers.difference import edits_between
from fixbot.patchers.edits import GateError
from fixbot.patchers.model.gate import check_reply_patch, code_problem
from fixbot.patchers.patch import Origin, Patch, blob_id

HARMLESS = [
    "import httpx\n\ntry:\n    f()\nexcept httpx.TransportError:\n    raise\n",
    "from httpx import ConnectError as E\n\ntry:\n    f()\nexcept E:\n    raise\n",
    "import requests\n\ntry:\n    f()\nexcept (requests.exceptions.Timeout, requests.RequestException):\n    raise\n",
    "import socket\n\ntry:\n    f()\nexcept socket.timeout:\n    raise\n",
    "import subprocess\n\ntry:\n    f()\nexcept subprocess.CalledProcessError:\n    raise\n",
    "import httpx\n\nt = httpx.MockTransport(lambda request: httpx.Response(200))\n",
    "import requests\n\nanswer = requests.Response()\n",
    "import aiohttp\n\nlimit = aiohttp.ClientTimeout(total=5)\n",
]
NETWORK = [
    "import httpx\n\nhttpx.get('x')\n",
    "import httpx\n\ngetattr(httpx, 'get')('x')\n",
    "import httpx\n\nx = httpx.ConnectError\nhttpx.Client()\n",
    "import httpx\n\nx = httpx.TransportError.__init__.__globals__\n",
    "from requests import Session as Timeout\n\nTimeout()\n",
    "import socket\n\nsocket.socket()\n",
    "import subprocess\n\nsubprocess.run(['x'])\n",
    "import urllib.request\n\nurllib.request.urlopen(urllib.request.Request('x'))\n",
]
USED = {"b.py": "import aiohttp\nimport httpx\nimport requests\n"}


def try_fix(root: Path, new: str, others: Mapping[str, str]) -> None:
    old = b"import sys\n"
    (root / "a.py").write_bytes(old)
    for name, text in others.items():
        (root / name).write_text(text)
    edits = tuple(edits_between("a.py", old, new.encode()))
    patch = Patch("x", "reported-bug", Origin.MODEL, Safety.UNSAFE, {"a.py": blob_id(old)}, edits)
    check_reply_patch(patch, root, ["a.py", *others], ["a.py"], max_lines=40)


@pytest.mark.parametrize("code", HARMLESS)
def test_exceptions_and_messages_are_no_network_access(tmp_path: Path, code: str) -> None:
    try_fix(tmp_path, code, USED)
    assert code_problem(SourceFile("test_a.py", code.encode())) == ""


@pytest.mark.parametrize("code", NETWORK)
def test_network_access_is_refused(tmp_path: Path, code: str) -> None:
    with pytest.raises(GateError, match="the edit brings"):
        try_fix(tmp_path, code, USED)
    assert "brings" in code_problem(SourceFile("test_a.py", code.encode()))


@pytest.mark.parametrize(
    ("code", "others"),
    [
        ("import watchfiles\n", {"requirements.txt": "watchfiles==1.0.3\n"}),
        ("from watchfiles import awatch\n", {"pyproject.toml": '[project]\nname = "x"\nversion = "1"\ndependencies = ["Watchfiles"]\n'}),
        ("import yaml\n", {"requirements.txt": "PyYAML>=6\n"}),
        ("import yaml\n", {"b.py": "import yaml\n"}),
    ],
)
def test_declared_and_used_modules_may_be_imported(tmp_path: Path, code: str, others: Mapping[str, str]) -> None:
    try_fix(tmp_path, code, others)


@pytest.mark.parametrize(
    "others", [{}, {"requirements.txt": "watch-files\n# watchfiles\n"}, {"Dockerfile": "FROM x\nRUN pip install watchfiles\n"}]
)
def test_other_modules_are_refused(tmp_path: Path, others: Mapping[str, str]) -> None:
    with pytest.raises(GateError, match="does not use: watchfiles"):
        try_fix(tmp_path, "import watchfiles\n", others)
