"""What a model's patch may not do is refused with the reason; fixes that look like it, but do no harm, pass."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fixbot.detectors.finding import Safety
from fixbot.patchers.difference import edits_between
from fixbot.patchers.edits import GateError
from fixbot.patchers.model.gate import CODE, DELETION, NETWORK, PROCESS, check_reply_patch
from fixbot.patchers.patch import Edit, Origin, Patch, blob_id

OTHERS = {
    "helpers.py": "import yaml\nimport requests\n\n\ndef clean(text):\n    return text\n",
    "pkg/__init__.py": "",
    "pkg/core.py": "LIMIT = 10\n",
    "tests/test_app.py": "import pytest\nimport app\n\n\ndef test_it():\n    assert app\n",
    "requirements.txt": "requests==2.0\n",
}


def gate(
    tmp_path: Path,
    old: str | bytes,
    new: str | bytes,
    path: str = "app.py",
    shown: tuple[str, ...] | None = None,
    allows: tuple[str, ...] = (),
    dependencies: bool = False,
    max_lines: int = 40,
) -> bytes:
    """The new bytes of a file whose change passes the gate. Raises GateError."""
    before, after = (text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text for text in (old, new))
    for name, content in {**OTHERS, path: before}.items():
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.is_symlink():
            target.write_bytes(content.encode() if isinstance(content, str) else content)
    patch = Patch("f", "r", Origin.MODEL, Safety.SAFE, {path: blob_id(before)}, edits_between(path, before, after))
    changed = check_reply_patch(
        patch, tmp_path, {*OTHERS, path}, (path,) if shown is None else shown, allows=allows, dependencies=dependencies, max_lines=max_lines
    )
    assert (tmp_path / path).read_bytes() == before  # nothing is written
    return changed[path]


def refused(tmp_path: Path, old: str | bytes, new: str | bytes, **more: object) -> str:
    with pytest.raises(GateError) as caught:
        gate(tmp_path, old, new, **more)  # type: ignore[arg-type]
    return str(caught.value)


# Good fixes, as a person would make them: (before, after)
GOOD = {
    "timeout for a request": (
        "import requests\n\n\ndef get(url):\n    return requests.get(url)\n",
        "import requests\n\n\ndef get(url):\n    return requests.get(url, timeout=10)\n",
    ),
    "status is checked": (
        "import requests\n\n\ndef get(url):\n    return requests.get(url).json()\n",
        "import requests\n\n\ndef get(url):\n    reply = requests.get(url)\n    reply.raise_for_status()\n    return reply.json()\n",
    ),
    "retry around a request": (
        "import requests\n\n\ndef get(url):\n    return requests.get(url, timeout=5)\n",
        "import time\n\nimport requests\n\n\ndef get(url):\n    for attempt in range(3):\n        try:\n"
        "            return requests.get(url, timeout=5)\n        except requests.ConnectionError:\n"
        "            if attempt == 2:\n                raise\n            time.sleep(2**attempt)\n",
    ),
    "retry by an adapter": (
        "import requests\n\nsession = requests.Session()\n",
        "import requests\nfrom requests.adapters import HTTPAdapter\nfrom urllib3.util.retry import Retry\n\nsession = requests.Session()\n"
        'session.mount("https://", HTTPAdapter(max_retries=Retry(total=3)))\n',
    ),
    "errors of a client are caught": (
        "import helpers\n\n\ndef get(url):\n    return helpers.clean(url)\n",
        "import requests\n\nimport helpers\n\n\ndef get(url):\n    try:\n        return helpers.clean(url)\n"
        "    except requests.exceptions.RequestException:\n        return None\n",
    ),
    "errors of a socket are caught": (
        "def get(link):\n    return link.read()\n",
        "import socket\n\n\ndef get(link):\n"
        "    try:\n        return link.read()\n    except (socket.timeout, socket.gaierror):\n        return b''\n",
    ),
    "http becomes https": (
        'import requests\n\n\ndef get():\n    return requests.get("http://api.example.com/v1", timeout=3)\n',
        'import requests\n\n\ndef get():\n    return requests.get("https://api.example.com/v1", timeout=3)\n',
    ),
    "another path of a known host": ('URL = "https://api.example.com/v1/"\n', 'URL = "https://api.example.com/v2/users"\n'),
    "a scheme is checked": ("def ok(url):\n    return True\n", 'def ok(url):\n    return url.startswith(("http://", "https://"))\n'),
    "quoting of an address": (
        'def link(host, name):\n    return f"https://{host}/{name}"\n',
        'from urllib.parse import quote\n\n\ndef link(host, name):\n    return f"https://{host}/{quote(name)}"\n',
    ),
    "status by name": (
        "def ok(code):\n    return code == 201\n",
        "from http import HTTPStatus\n\n\ndef ok(code):\n    return code == HTTPStatus.OK\n",
    ),
    "status through the module": (
        "def ok(code):\n    return code == 201\n",
        "import http\n\n\ndef ok(code):\n    return code == http.HTTPStatus.OK\n",
    ),
    "timeout for a program": (
        'import subprocess\n\n\ndef run():\n    return subprocess.run(["ls"])\n',
        'import subprocess\n\n\ndef run():\n    try:\n        return subprocess.run(["ls"], timeout=60, stdout=subprocess.PIPE)\n'
        "    except (subprocess.TimeoutExpired, subprocess.CalledProcessError):\n        return None\n",
    ),
    "no shell": (
        'import os\n\n\ndef run(name):\n    os.system("ls " + name)\n',
        'import subprocess\n\n\ndef run(name):\n    subprocess.run(["ls", name], check=True)\n',
    ),
    "temporary file is deleted": (
        'import tempfile\n\n\ndef run(use):\n    path = tempfile.mktemp(suffix=".wav")\n    use(path)\n',
        'import os\nimport tempfile\n\n\ndef run(use):\n    handle, path = tempfile.mkstemp(suffix=".wav")\n    os.close(handle)\n'
        "    try:\n        use(path)\n    finally:\n        os.remove(path)\n",
    ),
    "temporary file by its name": (
        "import tempfile\n\n\ndef run(use):\n    file = tempfile.NamedTemporaryFile(delete=False)\n    use(file.name)\n",
        "import os\nimport tempfile\n\n\ndef run(use):\n    path = None\n    try:\n"
        "        with tempfile.NamedTemporaryFile(delete=False) as file:\n"
        "            path = file.name\n        use(path)\n    finally:\n"
        "        if path and os.path.exists(path):\n            os.unlink(path)\n",
    ),
    "temporary folder is deleted": (
        "import tempfile\n\n\ndef run(use):\n    folder = tempfile.mkdtemp()\n    use(folder)\n",
        "import shutil\nimport tempfile\n\n\ndef run(use):\n    folder = tempfile.mkdtemp()\n    try:\n        use(folder)\n"
        "    finally:\n        shutil.rmtree(folder, ignore_errors=True)\n",
    ),
    "a file is replaced at once": (
        "def save(path, text):\n    path.write_text(text)\n",
        'import os\n\n\ndef save(path, text):\n    draft = path.with_name(path.name + ".tmp")\n    try:\n        draft.write_text(text)\n'
        "        os.replace(draft, path)\n    except OSError:\n        draft.unlink(missing_ok=True)\n        raise\n",
    ),
    "no race before a deletion": (
        "import os\n\n\ndef drop(path):\n    if os.path.exists(path):\n        os.remove(path)\n",
        "import contextlib\nimport os\n\n\ndef drop(path):\n    with contextlib.suppress(FileNotFoundError):\n        os.remove(path)\n",
    ),
    "another way to delete": (
        "import os\n\n\ndef drop(path):\n    os.remove(path)\n",
        "from pathlib import Path\n\n\ndef drop(path):\n    Path(path).unlink(missing_ok=True)\n",
    ),
    "an item of a list is removed": ("def drop(items, one):\n    pass\n", "def drop(items, one):\n    items.remove(one)\n"),
    "logging instead of silence": (
        "def run(f):\n    try:\n        f()\n    except Exception:\n        pass\n",
        "import logging\n\nlogger = logging.getLogger(__name__)\n\n\ndef run(f):\n    try:\n        f()\n    except Exception:\n"
        '        logger.exception("it failed")\n        raise\n',
    ),
    "a parameter gets another name": (
        "def area(lenght, width):\n    assert lenght > 0\n    return length * width\n",
        "def area(length, width):\n    assert length > 0\n    return length * width\n",
    ),
    "a file is closed": (
        "def load(path):\n    return open(path).read()\n",
        "def load(path):\n    with open(path) as file:\n        return file.read()\n",
    ),
    "no shared default": (
        "def add(one, items=[]):\n    items.append(one)\n    return items\n",
        "def add(one, items=None):\n    items = [] if items is None else items\n    items.append(one)\n    return items\n",
    ),
    "literal instead of code": (
        "def read(text):\n    return eval(text)\n",
        "import ast\n\n\ndef read(text):\n    return ast.literal_eval(text)\n",
    ),
    "json instead of pickle": (
        "import pickle\n\n\ndef read(data):\n    return pickle.loads(data)\n",
        "import json\n\n\ndef read(data):\n    return json.loads(data)\n",
    ),
    "safe yaml": (
        "import yaml\n\n\ndef read(text):\n    return yaml.load(text)\n",
        "import yaml\n\n\ndef read(text):\n    return yaml.safe_load(text)\n",
    ),
    "pattern compiled once": (
        "import re\n\n\ndef ok(text):\n    return re.match('a+', text)\n",
        "import re\n\nA = re.compile('a+')\n\n\ndef ok(text):\n    return A.match(text)\n",
    ),
    "parameters of a query": (
        "def get(db, name):\n    return db.execute(\"select * from t where name = '%s'\" % name)\n",
        'def get(db, name):\n    return db.execute("select * from t where name = ?", (name,))\n',
    ),
    "deletion in a table": (
        "def drop(db, key):\n    pass\n",
        'def drop(db, key):\n    db.execute("delete from t where id = ?", (key,))\n    db.commit()\n',
    ),
    "a lock": (
        "count = 0\n\n\ndef add():\n    global count\n    count += 1\n",
        "import threading\n\ncount = 0\nlock = threading.Lock()\n\n\ndef add():\n    global count\n    with lock:\n        count += 1\n",
    ),
    "time zone": (
        "from datetime import datetime\n\n\ndef now():\n    return datetime.utcnow()\n",
        "from datetime import datetime, timezone\n\n\ndef now():\n    return datetime.now(timezone.utc)\n",
    ),
    "another module of the repository": (
        "def f(x):\n    return x\n",
        "from helpers import clean\nfrom pkg.core import LIMIT\n\n\ndef f(x):\n    return clean(x)[:LIMIT]\n",
    ),
    "relative import": ("def f(x):\n    return x\n", "from .helpers import clean\n\n\ndef f(x):\n    return clean(x)\n"),
    "a module that another file uses": ("def f(x):\n    return x\n", "import yaml\n\n\ndef f(x):\n    return yaml.safe_load(x)\n"),
    "prose that begins like an import": (
        "def f(x):\n    return x\n",
        'def f(x):\n    """Take x\n    from nowhere, as callers do;\n    import nothing.\n    """\n    return x or 0\n',
    ),
    "an assert more": ("def f(x):\n    return x\n", "def f(x):\n    assert x is not None\n    return x\n"),
    "words like comments of tools": (
        "def f(x):\n    return x\n",
        "def f(x):\n    # pragmatic: nobody else's type ignores zero, noquery\n    return x or 0\n",
    ),
    "letters of all kinds": ("NAME = 'x'\n", "NAME = 'Größe → 大 ✓'\n"),
    "invisible ones that were there": ("A = '\u200b'\nB = 1\n", "B = 2\nA = '\u200b'\n"),
    "environment variable with a default": (
        "import os\n\nPORT = int(os.environ['PORT'])\n",
        "import os\n\nPORT = int(os.environ.get('PORT', '8000'))\n",
    ),
    "getattr of an object": ("def f(x):\n    return x.name\n", "def f(x):\n    return getattr(x, 'name', None)\n"),
    "an await": (
        "import asyncio\n\n\nasync def f(g):\n    return g()\n",
        "import asyncio\n\n\nasync def f(g):\n    return await asyncio.wait_for(g(), 5)\n",
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_good_fixes_pass(tmp_path: Path, name: str) -> None:
    old, new = GOOD[name]
    assert gate(tmp_path, old, new) == new.encode()


# Bad ones: (before, after, a part of the reason)
USE = "import os\nimport subprocess\nimport requests\n\n\ndef f(x):\n    requests.get('https://api.example.com', timeout=5)\n    return x\n"
BAD = {
    "a program": ("def f(x):\n    return x\n", "import subprocess\n\n\ndef f(x):\n    subprocess.run(['ls'])\n    return x\n", PROCESS),
    "a program more": (
        "import subprocess\n\n\ndef f(x):\n    subprocess.run(['ls'])\n    return x\n",
        "import subprocess\n\n\ndef f(x):\n    subprocess.run(['ls'])\n    subprocess.run(['curl', x])\n    return x\n",
        PROCESS,
    ),
    "a shell": ("import os\n\n\ndef f(x):\n    return x\n", "import os\n\n\ndef f(x):\n    os.system(x)\n    return x\n", "os.system"),
    "a shell under another name": (
        "def f(x):\n    return x\n",
        "from os import system as run\n\n\ndef f(x):\n    run(x)\n    return x\n",
        "os.system",
    ),
    "a shell by its name": (
        "import os\n\n\ndef f(x):\n    return x\n",
        "import os\n\n\ndef f(x):\n    getattr(os, 'sys' + 'tem')(x)\n",
        CODE,
    ),
    "a program of asyncio": (
        "import asyncio\n\n\nasync def f(x):\n    return x\n",
        "import asyncio\n\n\nasync def f(x):\n    await asyncio.create_subprocess_exec(x)\n    return x\n",
        PROCESS,
    ),
    "eval": ("def f(x):\n    return x\n", "def f(x):\n    return eval(x)\n", "eval"),
    "eval kept for later": ("def f(x):\n    return x\n", "run = eval\n\n\ndef f(x):\n    return run(x)\n", "eval"),
    "exec": ("def f(x):\n    return x\n", "def f(x):\n    exec(x)\n    return x\n", "exec"),
    "import by name": ("def f(x):\n    return x\n", "def f(x):\n    return __import__(x)\n", "__import__"),
    "importlib": ("def f(x):\n    return x\n", "import importlib\n\n\ndef f(x):\n    return importlib.import_module(x)\n", CODE),
    "built-ins by name": ("def f(x):\n    return x\n", "def f(x):\n    return getattr(__builtins__, 'ev' + 'al')(x)\n", CODE),
    "pickle": (
        "import json\n\n\ndef f(x):\n    return json.loads(x)\n",
        "import pickle\n\n\ndef f(x):\n    return pickle.loads(x)\n",
        "pickle.loads",
    ),
    "leaving the process": ("import os\n\n\ndef f(x):\n    return x\n", "import os\n\n\ndef f(x):\n    os._exit(0)\n", "os._exit"),
    "the network": ("def f(x):\n    return x\n", "import requests\n\n\ndef f(x):\n    requests.post(x, json=x)\n    return x\n", NETWORK),
    "the network from inside": (
        "def f(x):\n    return x\n",
        "def f(x):\n    from urllib.request import urlopen\n    return urlopen(x)\n",
        "urllib",
    ),
    "the network through a submodule": (
        "import urllib.parse\n\n\ndef f(x):\n    return x\n",
        "import urllib.request\n\n\ndef f(x):\n    return urllib.request.urlopen(x)\n",
        NETWORK,
    ),
    "another kind of network": (
        USE,
        USE.replace("    return x", "    socket.create_connection(x)\n    return x").replace("import os", "import os\nimport socket"),
        "socket",
    ),
    "a module as a value": (
        "def f(x):\n    return x\n",
        "import requests\n\nclient = requests\n\n\ndef f(x):\n    return client.get(x)\n",
        NETWORK,
    ),
    "another host": (USE, USE.replace("api.example.com", "evil.example.net"), "evil.example.net"),
    "a host more": (USE, USE.replace("return x", "return x, 'https://api.example.com.evil.example'"), "evil.example"),
    "a host in disguise": (USE, USE.replace("//api.example.com", "//api.example.com@evil.example"), "evil.example"),
    "no encryption any more": (USE, USE.replace("https://", "http://"), "http://api.example.com"),
    "a file is removed": (
        "import os\n\n\ndef f(x):\n    return x\n",
        "import os\n\n\ndef f(x):\n    os.remove(x)\n    return x\n",
        DELETION,
    ),
    "a path is removed": ("def f(x):\n    return x\n", "def f(x):\n    x.unlink()\n    return x\n", "unlink"),
    "a tree is removed": ("def f(x):\n    return x\n", "import shutil\n\n\ndef f(x):\n    shutil.rmtree(x)\n", "shutil.rmtree"),
    "a second deletion": (
        "import os\n\n\ndef f(x):\n    os.remove(x)\n",
        "import os\n\n\ndef f(x):\n    os.remove(x)\n    os.remove(x + '.bak')\n",
        DELETION,
    ),
    "a name that is temporary only at times": (
        "import os\nimport tempfile\n\n\ndef f(x):\n    path = tempfile.mktemp()\n    return path\n",
        "import os\nimport tempfile\n\n\ndef f(x):\n    path = tempfile.mktemp()\n    path = x\n    os.remove(path)\n    return path\n",
        DELETION,
    ),
    "an assert less": ("def f(x):\n    assert x\n    return x\n", "def f(x):\n    return x or 1\n", "assert"),
    "an assert that cannot fail": ("def f(x):\n    assert x > 0\n    return x\n", "def f(x):\n    assert True\n    return x\n", "assert"),
    "noqa": ("def f(x):\n    return y\n", "def f(x):\n    return y  # noqa: F821\n", "mutes"),
    "type: ignore": ("def f(x):\n    return y\n", "def f(x):\n    return y  # type: ignore\n", "mutes"),
    "own suppression": ("def f(x):\n    return y\n", "def f(x):\n    return y  # fixbot: ignore\n", "mutes"),
    "no coverage": ("def f(x):\n    return y\n", "def f(x):  # pragma: no cover\n    return x\n", "mutes"),
    "a new dependency": ("def f(x):\n    return x\n", "import tenacity\n\n\ndef f(x):\n    return tenacity.retry(x)\n", "tenacity"),
    "a new dependency as the second": (
        "def f(x):\n    return x\n",
        "import json, tenacity\n\n\ndef f(x):\n    return tenacity.retry(x)\n",
        "tenacity",
    ),
    "a new dependency behind a semicolon": (
        "def f(x):\n    return x\n",
        "import json; import tenacity\n\n\ndef f(x):\n    return tenacity.retry(x)\n",
        "tenacity",
    ),
    "a new dependency inside": (
        "def f(x):\n    return x\n",
        "def f(x):\n    from tenacity.wait import wait\n    return wait(x)\n",
        "tenacity",
    ),
    "knows that it is tested": (
        "import os\n\n\ndef f(x):\n    return x\n",
        "import os\n\n\ndef f(x):\n    return 1 if 'PYTEST_CURRENT_TEST' in os.environ else x\n",
        "aware",
    ),
    "knows pytest": (
        "import sys\n\n\ndef f(x):\n    return x\n",
        "import sys\n\n\ndef f(x):\n    return 1 if 'pytest' in sys.modules else x\n",
        "aware",
    ),
    "asks for TESTING": (
        "import os\n\n\ndef f(x):\n    return x\n",
        "import os\n\n\ndef f(x):\n    return 1 if os.getenv('TESTING') else x\n",
        "aware",
    ),
    "text that runs backwards": ("def f(x):\n    return x\n", "def f(x):\n    # \u202e check\n    return x or 0\n", "invisible"),
    "zero width": ("def f(x):\n    return x\n", "def f(x):\n    return '\u200b'\n", "invisible"),
    "escape sequences": ("def f(x):\n    return x\n", "def f(x):\n    return '\x1b[2K'\n", "control"),
    "private signs": ("def f(x):\n    return x\n", "def f(x):\n    return '\ue000'\n", "invisible"),
    "no Python any more": ("def f(x):\n    return x\n", "def f(x):\n    return (x\n", "does not parse"),
    "a NUL": ("def f(x):\n    return x\n", "def f(x):\n    return '\0'\n", ""),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_fixes_are_refused_with_the_reason(tmp_path: Path, name: str) -> None:
    old, new, reason = BAD[name]
    assert reason in refused(tmp_path, old, new)


@pytest.mark.parametrize(
    ("ability", "line"),
    [
        (PROCESS, "import os\n\n\ndef f(x):\n    os.system(x)\n"),
        (CODE, "def f(x):\n    eval(x)\n"),
        (DELETION, "import os\n\n\ndef f(x):\n    os.remove(x)\n"),
        (NETWORK, "import socket\n\n\ndef f(x):\n    socket.socket()\n"),
    ],
)
def test_a_rule_may_allow_an_ability(tmp_path: Path, ability: str, line: str) -> None:
    old = "def f(x):\n    return x\n"
    assert ability in refused(tmp_path, old, line)
    assert gate(tmp_path, old, line, allows=(ability,)) == line.encode()


# Paths


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("../x.py", "not a plain relative path"),
        ("/tmp/x.py", "not a plain relative path"),
        ("a\\b.py", "not a plain relative path"),
        ("pkg//core.py", "not a plain relative path"),
        (".git/config", "inside .git"),
        (".GIT/hooks/pre-commit", "inside .git"),
        (".github/workflows/x.yml", "continuous integration"),
        (".gitlab-ci.yml", "continuous integration"),
        ("tests/test_app.py", "test code"),
        ("conftest.py", "test code"),
        ("pkg/conftest.py", "test code"),
        ("app_test.py", "test code"),
        ("uv.lock", "lock file"),
        ("requirements.txt", "dependency file"),
        ("pyproject.toml", "dependency file"),
        ("setup.py", "build"),
        ("sitecustomize.py", "build"),
        (".gitattributes", "git settings"),
        ("not_there.py", "not a file that git tracks"),
    ],
)
def test_paths_that_no_fix_may_touch(tmp_path: Path, path: str, reason: str) -> None:
    patch = Patch("f", "r", Origin.MODEL, Safety.SAFE, {path: blob_id(b"")}, (Edit(path, 0, 0, "x = 1\n"),))
    with pytest.raises(GateError, match=reason):
        check_reply_patch(patch, tmp_path, {path} if path != "not_there.py" else {"app.py"}, (path,), max_lines=40)


def test_only_files_that_the_model_was_shown(tmp_path: Path) -> None:
    assert "does not concern" in refused(tmp_path, "a = 1\n", "a = 2\n", shown=("helpers.py",))
    assert gate(tmp_path, "a = 1\n", "a = 2\n", shown=("helpers.py", "app.py")) == b"a = 2\n"


def test_links_are_refused(tmp_path: Path) -> None:
    outside = tmp_path / "outside.py"
    outside.write_text("a = 1\n")
    root = tmp_path / "root"
    (root / "folder").mkdir(parents=True)
    os.symlink(outside, root / "soft.py")
    os.link(outside, root / "hard.py")
    os.symlink(root / "folder", root / "way")
    (root / "folder" / "x.py").write_text("a = 1\n")
    for path in ("soft.py", "hard.py", "way/x.py"):
        patch = Patch("f", "r", Origin.MODEL, Safety.SAFE, {path: blob_id(b"a = 1\n")}, (Edit(path, 4, 5, "2"),))
        with pytest.raises(GateError, match=r"regular file of its own|symbolic link"):
            check_reply_patch(patch, root, {path}, (path,), max_lines=40)
    assert outside.read_text() == "a = 1\n"


def test_dependency_files_where_the_rule_allows_them(tmp_path: Path) -> None:
    change = ("a==1\n", "a==1\nb==2\n")
    assert "dependency file" in refused(tmp_path, *change, path="requirements.txt")
    assert gate(tmp_path, *change, path="requirements.txt", dependencies=True) == b"a==1\nb==2\n"
    assert "lock file" in refused(tmp_path, *change, path="poetry.lock", dependencies=True)
    index = "--index-url https://packages.evil.example/simple\na==1\n"
    assert "evil.example" in refused(tmp_path, "a==1\n", index, path="requirements.txt", dependencies=True)


# Size and base


def test_forty_changed_lines_are_the_most(tmp_path: Path) -> None:
    old = "".join(f"a{number} = 1\n" for number in range(50))
    assert gate(tmp_path, old, old.replace(" = 1\n", " = 2\n", 20))
    assert "changes 42 lines, more than 40" in refused(tmp_path, old, old.replace(" = 1\n", " = 2\n", 21))
    assert "more than 40" in refused(tmp_path, old, old + "".join(f"b{number} = 1\n" for number in range(41)))
    assert gate(tmp_path, old, old.replace(" = 1\n", " = 2\n", 21), max_lines=42)


def test_nothing_and_another_base_are_refused(tmp_path: Path) -> None:
    assert "changes nothing" in refused(tmp_path, "a = 1\n", "a = 1\n")
    (tmp_path / "app.py").write_text("b = 1\n")
    patch = Patch("f", "r", Origin.MODEL, Safety.SAFE, {"app.py": blob_id(b"a = 1\n")}, (Edit("app.py", 4, 5, "2"),))
    with pytest.raises(GateError, match="not the file"):
        check_reply_patch(patch, tmp_path, {"app.py"}, ("app.py",), max_lines=40)


def test_other_encodings_and_kinds_of_files(tmp_path: Path) -> None:
    latin = "# -*- coding: latin-1 -*-\nNAME = 'é'\nAGE = 1\n".encode("latin-1")
    assert gate(tmp_path, latin, latin.replace(b"AGE = 1", b"AGE = 2")) == latin.replace(b"AGE = 1", b"AGE = 2")
    assert gate(tmp_path, "select 1;\n", "select 2;\n", path="schema.sql") == b"select 2;\n"
    assert "address" in refused(tmp_path, "a: 1\n", "a: http://evil.example\n", path="settings.yaml")
    assert "control" in refused(tmp_path, "a: 1\n", "a: \x1b[31m\n", path="settings.yaml")
