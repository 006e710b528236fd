"""The interpreter for the target's tests: what is read, what is refused, what is built. Packages come from a wheel folder made here."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from textwrap import dedent

import pytest

from fixbot.agent.environments import Environment, import_roots, poetry, resolve
from fixbot.agent.environments.build import STALE_SECONDS
from fixbot.agent.environments.metadata import overlay
from fixbot.agent.environments.probe import readable_folders
from fixbot.agent.environments.project import projects, read_project
from fixbot.agent.environments.requirements import MAX_NOTES, declared, names
from fixbot.agent.errors import NoEnvironmentError, SandboxError
from fixbot.agent.sandbox.base import Command, Outcome, Sandbox
from fixbot.agent.sandbox.choose import choose

Resolve = Callable[..., Environment]

UV = shutil.which("uv", path=str(Path(sys.prefix, "bin"))) or "uv"


def write(root: Path, files: Mapping[str, str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return root


def wheel(folder: Path, name: str, version: str, requires: tuple[str, ...] = ()) -> None:
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}/__init__.py": f"__version__ = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        + "".join(f"Requires-Dist: {line}\n" for line in requires),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with small wheels, one source distribution, and ``simple``, a package index of them."""
    folder = tmp_path_factory.mktemp("wheels")
    for name, version in (("alpha", "1.0"), ("alpha", "2.0"), ("beta", "1.0"), ("gamma", "1.0"), ("pytest", "8.0")):
        wheel(folder, name, version)
    wheel(folder, "needsalpha", "1.0", ("alpha<2",))
    info = b"Metadata-Version: 2.1\nName: nowheel\nVersion: 1.0\n"
    with tarfile.open(folder / "nowheel-1.0.tar.gz", "w:gz") as archive:
        for name, content in (("PKG-INFO", info), ("setup.py", f"open({str(folder / 'ran')!r}, 'w')".encode())):
            member = tarfile.TarInfo(f"nowheel-1.0/{name}")
            member.size = len(content)
            archive.addfile(member, BytesIO(content))
    for file in list(folder.iterdir()):
        write(folder / "simple", {f"{file.name.split('-')[0]}/index.html": ""})
    for page in folder.glob("simple/*/index.html"):
        page.write_text("".join(f'<a href="../../{file.name}">{file.name}</a>\n' for file in folder.glob(f"{page.parent.name}-*")))
    return folder


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    return choose("auto", tmp_path_factory.mktemp("target"))


@pytest.fixture
def found(tmp_path: Path, wheels: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Resolve:
    """``resolve`` with the wheel folder as the only index, an own cache, and no active environment."""
    monkeypatch.setenv("UV_DEFAULT_INDEX", (wheels / "simple").as_uri())
    monkeypatch.setenv("UV_CACHE_DIR", str(wheels.parent / "uv"))
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)

    def run(tree: Path, repository: Path | None = None, python: Path | None = None, progress: list[str] | None = None) -> Environment:
        lines = [] if progress is None else progress
        cache = tmp_path / "cache"
        return resolve(tree, repository=repository or tree, python=python, cache=cache, sandbox=sandbox, progress=lines.append)

    return run


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    return folder


def make_venv(folder: Path, wheels: Path, *packages: str) -> Path:
    """A virtual environment with packages from the wheel folder."""
    subprocess.run([UV, "venv", "--no-config", "--no-project", "-q", "-p", sys.executable, str(folder)], check=True)
    python = folder / "bin" / "python"
    if packages:
        shape = [UV, "pip", "install", "--no-config", "-q", "--no-index", "--find-links", str(wheels), "-p", str(python)]
        subprocess.run([*shape, *packages], check=True)
    return python


def ask(environment: Environment, code: str, sandbox: Sandbox, folder: Path) -> str:
    """What the environment's interpreter prints in the sandbox."""
    folder.mkdir(exist_ok=True)
    outcome: Outcome = sandbox.run(
        Command(
            argv=[str(environment.python), "-c", code],
            root=folder,
            mount=folder,
            readable=[(path, path) for path in environment.readable],
            env={"PYTHONPATH": os.pathsep.join(map(str, environment.pythonpath)), "PATH": "/usr/bin:/bin"},
        )
    )
    assert outcome.exit_code == 0, outcome.output
    return outcome.output.strip()


def lines(groups: Mapping[str, tuple[str, ...]]) -> set[str]:
    return {line for group in groups.values() for line in group}


# --- what the target declares -------------------------------------------------------------------------------------------------------

DECLARATIONS: list[tuple[str, dict[str, str], set[str], set[str]]] = [
    ("plain", {"requirements.txt": "Alpha == 1.0  # why\n\nbeta[x,y]>=2; python_version > '3'\n"}, {"alpha==1.0", "beta[x,y]>=2"}, set()),
    ("continued", {"requirements.txt": "alpha==1.0 \\\n  --hash=sha256:00 \\\n  --hash=sha256:11\nbeta\n"}, {"alpha==1.0", "beta"}, set()),
    ("included", {"requirements/base.txt": "alpha\n", "requirements/dev.txt": "-r base.txt\nbeta\n"}, {"alpha"}, {"beta"}),
    ("a service", {"services/asr/requirements.txt": "alpha\n", "services/asr/requirements-dev.txt": "beta\n"}, {"alpha"}, {"beta"}),
    ("test names", {"test-requirements.txt": "alpha\n", "dev_requirements.txt": "beta\n", "tests/requirements.txt": "gamma\n"}, set(),
     {"alpha", "beta", "gamma"}),
    ("not needed", {"docs/requirements.txt": "alpha\n", "requirements-windows.txt": "beta\n", "node_modules/x/requirements.txt": "c\n"},
     set(), set()),
    ("pyproject", {"pyproject.toml": """
        [project]
        name = "demo"
        dependencies = ["alpha>=1"]
        [project.optional-dependencies]
        test = ["beta", "demo[speed]"]
        speed = ["gamma"]
        docs = ["sphinx"]
        [dependency-groups]
        dev = [{include-group = "lint"}, "delta"]
        lint = ["ruff", {include-group = "dev"}]
        """}, {"alpha>=1"}, {"beta", "gamma", "delta", "ruff"}),
    ("poetry", {"pyproject.toml": """
        [tool.poetry]
        name = "demo"
        version = "1"
        [tool.poetry.dependencies]
        python = "^3.9"
        alpha = "^1.2"
        beta = {version = "~2.1", extras = ["x"], python = "<3.12"}
        gamma = {git = "https://example.org/g"}
        delta = {version = "*", optional = true}
        [tool.poetry.extras]
        test = ["delta"]
        [tool.poetry.group.test.dependencies]
        epsilon = "1.5"
        [tool.poetry.group.docs.dependencies]
        sphinx = "*"
        """}, {"alpha<2,>=1.2", "beta[x]<2.2,>=2.1"}, {"delta", "epsilon==1.5"}),
    ("setup.cfg", {"setup.cfg": "[metadata]\nname = demo\n[options]\ninstall_requires =\n  alpha\n  beta>1\n[options.extras_require]\n"
                   "testing = gamma\nother = delta\n"}, {"alpha", "beta>1"}, {"gamma"}),
    ("setup.py", {"setup.py": "from setuptools import setup\nR = ['alpha']\nsetup(name='demo', install_requires=R, tests_require='beta',\n"
                  "extras_require={'dev': ['gamma'], 'x': compute()})\n"}, {"alpha"}, {"beta", "gamma"}),
    ("tox", {"tox.ini":
             "[testenv]\ndeps =\n  alpha\n  py39: beta\n  {[base]deps}\n  -r{toxinidir}/more.txt\n[testenv:docs]\ndeps = sphinx\n",
             "more.txt": "gamma\n"}, set(), {"alpha", "beta", "gamma"}),
    ("Pipfile", {"Pipfile": '[packages]\nalpha = "==1.0"\nbeta = {version = ">=1", extras = ["x"]}\n[dev-packages]\ngamma = "*"\n'},
     {"alpha==1.0", "beta[x]>=1"}, {"gamma"}),
    ("setuptools dynamic", {"pyproject.toml": '[project]\nname = "d"\ndynamic = ["dependencies"]\n[tool.setuptools.dynamic]\n'
                            'dependencies = {file = ["deps/run.in"]}\n', "deps/run.in": "alpha\n"}, {"alpha"}, set()),
    ("a member of the repository", {"pyproject.toml": '[project]\nname = "app"\ndependencies = ["My.Lib>=1", "alpha"]\n',
                                    "libs/lib/pyproject.toml": '[project]\nname = "my-lib"\ndependencies = ["beta"]\n'},
     {"alpha", "beta"}, set()),
    ("itself with extras", {"setup.py": "import setuptools\nsetuptools.setup(name='d', extras_require={'server': ['alpha']})\n",
                            "requirements.txt": "-e .[server]\n"}, {"alpha"}, set()),
    ("a dotted folder is no project", {"requirements.txt": "./lib\nalpha\n", "lib/x.txt": ""}, {"alpha"}, set()),
    ("nothing", {"app.py": "import os\n"}, set(), set()),
]  # fmt: skip


@pytest.mark.parametrize(("files", "core", "tests"), [row[1:] for row in DECLARATIONS], ids=[row[0] for row in DECLARATIONS])
def test_declared(tree: Path, files: dict[str, str], core: set[str], tests: set[str]) -> None:
    result = declared(write(tree, {name: dedent(text) for name, text in files.items()}))
    assert {line.split(";")[0].strip().lower() for line in lines(result.core)} == core
    assert {line.split(";")[0].strip().lower() for line in lines(result.tests)} == tests


@pytest.mark.parametrize(
    ("written", "standard"),
    [("^1.2.3", "<2,>=1.2.3"), ("^0.2.3", "<0.3,>=0.2.3"), ("^0.0.3", "<0.0.4,>=0.0.3"), ("^0", "<1,>=0"), ("~1.2.3", "<1.3,>=1.2.3"),
     ("~1", "<2,>=1"), ("*", ""), ("1.2.*", "==1.2.*"), ("1.2", "==1.2"), (">= 1.0, <2", "<2,>=1.0"), ("=1.5", "==1.5"), ("~=1.4", "~=1.4"),
     ("^1 || ^2", None), ("nonsense", None), ("", "")],
)  # fmt: skip
def test_poetry_versions(written: str, standard: str | None) -> None:
    assert poetry.specifier(written) == standard


HOSTILE = [
    "--index-url https://evil.example/simple", "--extra-index-url=https://evil.example", "-i https://evil.example", "-f ./wheels",
    "--find-links https://evil.example", "--trusted-host evil.example", "--no-binary :all:", "--pre", "--help",
    "-e git+https://e.example/x",
    "git+ssh://e.example/x", "alpha @ file:///etc/passwd", "alpha @ https://evil.example/a.whl", "file:///etc/passwd", "../../x", "/etc",
    "./evil.whl", "-r /etc/passwd", "-r ../outside.txt", "-c /etc/hosts", "-r link.txt", "-r https://evil.example/r.txt", "$(touch x)",
    "alpha; import os", "alpha; python_version < ", "${HOME}", "-e ..", "\x1b[31mred", "a" * 5000 + "!", "-r\x00x", "@evil",
]  # fmt: skip


def test_hostile_lines_are_dropped_and_named(tree: Path, tmp_path: Path) -> None:
    write(tmp_path, {"outside.txt": "stolen\n", "x/requirements.txt": "stolen\n"})
    (tree / "link.txt").symlink_to(tmp_path / "outside.txt")
    (tree / "requirements-extra.txt").symlink_to("/etc/passwd")
    os.mkfifo(tree / "requirements-fifo.txt")
    write(tree, {"requirements.txt": "\n".join([*HOSTILE, "alpha"]), "pyproject.toml": '[project]\nname = "../x"\ndependencies = ["a b"]'})
    result = declared(tree)
    assert lines(result.core) == {"alpha"}
    assert not result.constraints
    assert len(result.notes) == len(HOSTILE) + 1
    assert all(note.isprintable() and len(note) < 300 for note in result.notes)
    assert any("evil.example/simple" in note and "may not say where packages come from" in note for note in result.notes)


def test_damaged_and_huge_files_are_survived(tree: Path) -> None:
    write(tree, {"pyproject.toml": "[project\n", "setup.cfg": "no section\n", "setup.py": "def (", "poetry.lock": "]", "tox.ini": "[a\n"})
    write(tree, {"a/pyproject.toml": "x = " + "[" * 20000, "b/setup.py": "(" * 20000, "requirements.txt": "!\n" * 500})
    write(tree, {"c/pyproject.toml": '[project]\nname = 3\ndependencies = {a = 1}\n[tool]\npoetry = "x"\nsetuptools = []\n'})
    (tree / "setup.cfg").write_bytes(b"\xff\xfe\x00[metadata]\nname=\x80\n")
    write(tree, {"d/requirements.txt": "-r requirements.txt\n" + "".join(f"!{number}\n" for number in range(500))})
    result = declared(tree)
    assert not result.core
    assert not result.tests
    assert len(result.notes) == MAX_NOTES + 1


def test_setup_py_is_never_run(tree: Path, tmp_path: Path, found: Resolve) -> None:
    marker = tmp_path / "ran"
    code = f"open({str(marker)!r}, 'w').close()\nfrom setuptools import setup\nsetup(name='demo', version='2', install_requires=['beta'])\n"
    write(tree, {"setup.py": code, "conftest.py": code, "sitecustomize.py": code})
    environment = found(tree)
    assert environment.description == "built with uv from setup.py"
    assert not marker.exists()


def test_locks_are_pins(tree: Path) -> None:
    package = '[[package]]\nname = "{}"\nversion = "{}"\n{}\n'
    poetry_lock = "".join(
        package.format(*row)
        for row in [
            ("alpha", "1.0", ""), ("win", "1", "markers = \"sys_platform == 'win32'\""), ("twice", "1", ""), ("twice", "2", ""),
            ("vcs", "1", '[package.source]\ntype = "git"\nurl = "https://e.example"'), ("--help", "1", ""), ("beta", "nonsense!", ""),
            ("private", "3", '[package.source]\ntype = "legacy"\nurl = "https://evil.example/simple"'),
        ]
    )  # fmt: skip
    write(tree, {"poetry.lock": poetry_lock, "svc/pdm.lock": package.format("gamma", "2.0", "marker = \"python_version > '3'\"")})
    pins = set(declared(tree).constraints)
    assert pins == {"alpha==1.0", 'win==1; sys_platform == "win32"', "private==3", 'gamma==2.0; python_version > "3"'}


@pytest.mark.parametrize(
    ("files", "python"),
    [({"pyproject.toml": '[project]\nname = "d"\nrequires-python = ">=3.9,<3.13"\n', ".python-version": "3.12.4\n"}, "<3.13,>=3.9"),
     ({".python-version": "3.12.4\n"}, "==3.12.*"), ({".python-version": "--help\n"}, ""), ({".python-version": "/bin/sh"}, ""),
     ({"runtime.txt": "python-3.10.2"}, "==3.10.*"), ({"setup.cfg": "[options]\npython_requires = >=3.9\n"}, ">=3.9"),
     ({"pyproject.toml": '[project]\nname = "d"\nrequires-python = "; rm"\n'}, "")],
)  # fmt: skip
def test_python_request(tree: Path, files: dict[str, str], python: str) -> None:
    assert declared(write(tree, files)).python == python


@pytest.mark.parametrize(
    ("marker", "holds"),
    [('python_version >= "3.11"', True), ('python_full_version < "3.11.8"', True), ('sys_platform == "win32"', False),
     ('extra == "x"', False), ('"x" in extras', False), ('python_version > "abc"', False), ('implementation_name > "x"', False)],
)  # fmt: skip
def test_markers_of_the_interpreter(tree: Path, marker: str, holds: bool) -> None:
    result = declared(write(tree, {"requirements.txt": f"alpha; {marker}\n"}))
    assert names(result.core, "3.11.7") == (("alpha",) if holds else ())


# --- import roots and metadata ------------------------------------------------------------------------------------------------------

ROOTS: list[tuple[dict[str, str], tuple[str, ...]]] = [
    ({"app.py": ""}, (".",)),
    ({"src/demo/__init__.py": ""}, (".", "src")),
    ({"src/__init__.py": "", "src/demo.py": ""}, (".",)),
    ({"src/README.md": ""}, (".",)),
    ({"pyproject.toml": '[tool.pytest.ini_options]\npythonpath = ["lib", "../out", "/etc", "gone"]\n', "lib/a.py": ""}, (".", "lib")),
    ({"pytest.ini": "[pytest]\npythonpath = one two\n", "one/a.py": "", "two/b.py": ""}, (".", "one", "two")),
    ({"setup.cfg": "[tool:pytest]\npythonpath = one\n[options]\npackage_dir =\n  = lib\n", "lib/a.py": "", "one/a.py": ""},
     (".", "one", "lib")),
    ({"setup.cfg": "[options]\n[options.packages.find]\nwhere = lib\n", "lib/a.py": ""}, (".", "lib")),
    ({"setup.py": "from setuptools import *\nsetup(packages=find_packages('code'), package_dir={'': 'code'})", "code/a.py": ""},
     (".", "code")),
    ({"pyproject.toml": '[tool.setuptools]\npackage-dir = {demo = "lib/demo"}\n', "lib/demo/__init__.py": ""}, (".", "lib")),
    ({"pyproject.toml": '[tool.setuptools.packages.find]\nwhere = ["lib"]\n', "lib/demo/__init__.py": ""}, (".", "lib")),
    ({"pyproject.toml": '[tool.poetry]\nname = "d"\npackages = [{include = "demo", from = "lib"}]\n', "lib/a.py": ""}, (".", "lib")),
    ({"pyproject.toml": '[tool.hatch.build.targets.wheel]\npackages = ["code/demo"]\n', "code/demo/__init__.py": ""}, (".", "code")),
    ({"libs/one/pyproject.toml": '[project]\nname = "one"\n', "libs/one/src/one/__init__.py": ""}, (".", "libs/one", "libs/one/src")),
    ({"pytest.ini": "[pytest]\npythonpath = a:b\n", "a:b/x.py": ""}, (".",)),
]  # fmt: skip


@pytest.mark.parametrize(("files", "roots"), ROOTS)
def test_import_roots(tree: Path, files: dict[str, str], roots: tuple[str, ...]) -> None:
    assert import_roots(write(tree, files)) == roots


def test_import_roots_do_not_follow_links_out(tree: Path, tmp_path: Path) -> None:
    write(tmp_path, {"outside/a.py": ""})
    (tree / "src").symlink_to(tmp_path / "outside")
    write(tree, {"pytest.ini": "[pytest]\npythonpath = src\n"})
    assert import_roots(tree) == (".",)


@pytest.mark.parametrize(
    ("files", "version"),
    [({"pyproject.toml": '[project]\nname = "d"\nversion = "1.2"\n'}, "1.2"),
     ({"pyproject.toml": '[project]\nname = "d"\ndynamic = ["version"]\n', "src/d/__init__.py": "__version__: str = '3.4'\n"}, "3.4"),
     ({"setup.py": "from setuptools import setup\nsetup(name='d', version=get())\n", "d/__init__.py": "",
       "d/_version.py": "version = '5'"}, "5"),
     ({"setup.cfg": "[metadata]\nname = d\nversion = attr: d.__version__\n", "d.egg-info/PKG-INFO": "Name: d\nVersion: 6.7\n"}, "6.7"),
     ({"pyproject.toml": '[project]\nname = "d"\nversion = "no version"\n'}, "0"), ({"setup.cfg": "[metadata]\nname = d\n"}, "0")],
)  # fmt: skip
def test_versions(tree: Path, files: dict[str, str], version: str) -> None:
    project = read_project(write(tree, files), ".")
    assert project is not None
    assert (project.name, project.version) == ("d", version)


def test_metadata_is_seen_by_the_interpreter(tree: Path, tmp_path: Path, found: Resolve, sandbox: Sandbox) -> None:
    write(tree, {"pyproject.toml": """
[project]
name = "My.Demo"
version = "1.2"
[project.scripts]
demo = "my_demo.cli:main"
"bad\\n[x]" = "y"
evil = "a\\n[other]\\nx = y"
[project.entry-points."demo.plugins"]
one = "my_demo.one"
"""})  # fmt: skip
    environment = found(tree)
    code = (
        "import importlib.metadata as m, json; e = m.distribution('my-demo').entry_points; "
        "print(json.dumps([m.version('my.demo'), sorted((p.group, p.name, p.value) for p in e)]))"
    )
    version, entries = json.loads(ask(environment, code, sandbox, tmp_path / "run"))
    assert version == "1.2"
    assert entries == [["console_scripts", "demo", "my_demo.cli:main"], ["demo.plugins", "one", "my_demo.one"]]


def test_metadata_leaves_nameless_and_odd_projects_out(tree: Path, tmp_path: Path) -> None:
    write(
        tree,
        {"pyproject.toml": '[project]\nname = "../../x"\n', "a/setup.cfg": "[options]\n", "tests/p/setup.cfg": "[metadata]\nname = t\n"},
    )
    assert overlay(projects(tree), tmp_path / "cache") is None
    assert not (tmp_path / "cache").exists()


# --- which interpreter --------------------------------------------------------------------------------------------------------------


def test_order_of_candidates(tree: Path, tmp_path: Path, wheels: Path, found: Resolve, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tree, {"requirements.txt": "alpha\n", "requirements-dev.txt": "gamma\n"})
    repository = shutil.copytree(tree, tmp_path / "repository")
    local = make_venv(repository / ".venv", wheels, "alpha", "pytest")
    by_hand = make_venv(tmp_path / "hand", wheels, "pytest")
    bare = make_venv(tmp_path / "bare", wheels, "pytest")

    environment = found(tree, repository)
    assert environment.python == local
    assert environment.description == ".venv of the repository"
    assert environment.readable[0] == repository / ".venv"
    assert environment.notes == (".venv of the repository: it lacks gamma, declared for tests or development",)

    monkeypatch.setenv("VIRTUAL_ENV", str(bare.parent.parent))
    environment = found(tree, repository)
    assert environment.python == local
    assert environment.notes[0] == "active virtual environment is not used: it lacks alpha, which the repository declares"

    environment = found(tree, repository, by_hand.parent.parent)
    assert environment.python == by_hand
    assert environment.description == f"--python {tmp_path / 'hand'}"
    assert "it lacks alpha, which the repository declares" in environment.notes[0]

    monkeypatch.setenv("VIRTUAL_ENV", str(repository / ".venv"))
    assert found(tree, repository).description == "active virtual environment"
    monkeypatch.setenv("VIRTUAL_ENV", sys.prefix)  # fixbot's own, active because a program runs fixbot there, comes later
    assert found(tree, repository).python == local


@pytest.mark.parametrize("name", [".venv", "venv"])
@pytest.mark.parametrize("active", [False, True])
def test_tracked_environment_is_never_run(
    tree: Path, tmp_path: Path, found: Resolve, monkeypatch: pytest.MonkeyPatch, name: str, active: bool
) -> None:
    marker = tmp_path / "ran"
    script = f"#!/bin/sh\ntouch {marker}\n"
    write(
        tree,
        {f"{name}/pyvenv.cfg": "home = /usr/bin\n", f"{name}/bin/python": script, f"{name}/bin/uv": script, f"{name}/bin/python3": script},
    )
    for path in (tree / name / "bin").iterdir():
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tree / name / 'bin'}:{name}/bin:.:{os.environ['PATH']}")
    if active:
        monkeypatch.setenv("VIRTUAL_ENV", str(tree / name))
    environment = found(tree)
    assert environment.description.startswith("built with uv")
    assert "tracked in git" in environment.notes[0]
    assert not marker.exists()


def test_untracked_link_to_a_tracked_environment_is_refused(tree: Path, wheels: Path, tmp_path: Path, found: Resolve) -> None:
    make_venv(tree / "tools" / "env", wheels, "pytest")
    repository = shutil.copytree(tree, tmp_path / "repository", symlinks=True)
    (repository / ".venv").symlink_to("tools/env")
    environment = found(tree, repository)
    assert environment.notes[0].startswith(".venv of the repository is not used: it is tracked in git")


def test_wrong_python_version_is_passed_over(tree: Path, tmp_path: Path, wheels: Path, found: Resolve) -> None:
    write(tree, {"pyproject.toml": '[project]\nname = "d"\nrequires-python = "<3.9"\n'})
    python = make_venv(tmp_path / "env", wheels, "pytest")
    environment = found(tree, python=python)
    assert any("the repository asks for <3.9" in note for note in environment.notes)
    (tmp_path / "repository").mkdir()
    make_venv(tmp_path / "repository" / ".venv", wheels, "pytest")
    try:
        environment = found(tree, tmp_path / "repository")
    except NoEnvironmentError as error:
        assert "no Python <3.9,>=3.8 is installed" in str(error)  # noqa: PT017
    else:
        assert environment.description.startswith("built with uv")
        assert "asks for <3.9" in environment.notes[0]


@pytest.mark.parametrize(
    ("content", "reason"), [("#!/bin/sh\nexit 3\n", "exit code 3"), ("#!/bin/sh\necho no\n", "not a Python"), (None, "not exist")]
)
def test_python_by_hand_that_cannot_run(tree: Path, tmp_path: Path, found: Resolve, content: str | None, reason: str) -> None:
    python = tmp_path / "env" / "bin" / "python"
    if content is not None:
        write(tmp_path, {"env/bin/python": content, "env/pyvenv.cfg": ""})
        python.chmod(0o755)
    with pytest.raises(NoEnvironmentError, match=reason) as caught:
        found(tree, python=python)
    assert "--python" in caught.value.message
    assert caught.value.cure


def test_missing_pytest_is_supplied(tree: Path, tmp_path: Path, wheels: Path, found: Resolve, sandbox: Sandbox) -> None:
    python = make_venv(tmp_path / "env", wheels)
    environment = found(tree, python=python)
    assert environment.notes == ("pytest supplied by fixbot: the interpreter has none",)
    assert ask(environment, "import pytest; print(pytest.__version__)", sandbox, tmp_path / "run") == "8.0"
    assert not (tmp_path / "env/lib/python3.11/site-packages/pytest").exists()
    progress: list[str] = []
    assert found(tree, python=python, progress=progress) == environment
    assert not progress


def test_readable_folders(tree: Path, tmp_path: Path, wheels: Path) -> None:
    home = Path.home()
    python = make_venv(tmp_path / "env", wheels)
    (tmp_path / "link").symlink_to("env")
    write(tmp_path, {"lib/x.py": "", "elsewhere/pkg/__init__.py": ""})
    site = next((tmp_path / "env/lib").glob("python3*/site-packages"))
    (site / "paths.pth").write_text(
        f"{tmp_path / 'lib'}\n{tree}\n{home}\n/\n/etc\n/proc/1\n{tree.parent}\n# x\nimport os\n../../../../lib\n"
    )
    (site / "__editable___demo_finder.py").write_text(f"MAPPING: dict[str, str] = {{'pkg': {str(tmp_path / 'elsewhere/pkg')!r}}}\n")
    shown = readable_folders(tmp_path / "link" / "bin" / "python", tree)
    assert shown[:2] == (tmp_path / "link", tmp_path / "env")
    assert {tmp_path / "lib", tmp_path / "elsewhere/pkg"} <= set(shown)
    base = Path(sys.base_prefix).resolve()
    assert base.is_relative_to("/usr") or base in shown
    assert not {home, tree, tree.parent, Path("/"), Path("/etc"), Path("/proc/1")} & {path.resolve() for path in shown}
    assert readable_folders(Path("/usr/bin/python3"), tree) == ()
    assert python.is_symlink()


def test_no_python_fits(tree: Path, found: Resolve) -> None:
    write(tree, {".python-version": "3.99\n"})
    with pytest.raises(NoEnvironmentError, match=r"no Python ==3\.99\.\*,>=3\.8 is installed") as caught:
        found(tree)
    assert "--python" in caught.value.cure


@pytest.mark.parametrize("rung", ["bwrap", "landlock", "none"])
def test_every_sandbox(tree: Path, tmp_path: Path, wheels: Path, rung: str) -> None:
    try:
        sandbox = choose(rung, tree)
    except SandboxError as error:
        pytest.skip(error.message)
    write(tree, {"pyproject.toml": '[project]\nname = "demo"\nversion = "7"\n'})
    python = make_venv(tmp_path / "env", wheels, "pytest")
    environment = resolve(tree, repository=tree, python=python, cache=tmp_path / "cache", sandbox=sandbox)
    printed = ask(environment, "import pytest, importlib.metadata as m; print(m.version('demo'))", sandbox, tmp_path / "run")
    assert printed == "7"


# --- building -----------------------------------------------------------------------------------------------------------------------


def test_build_is_cached_and_open_to_every_user(
    tree: Path, tmp_path: Path, found: Resolve, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tree, {"requirements.txt": "needsalpha\n", "svc/requirements.txt": "beta==1.0\n"})
    progress: list[str] = []
    old = os.umask(0o077)
    try:
        environment = found(tree, progress=progress)
    finally:
        os.umask(old)
    assert progress == ["installing 3 packages"]
    assert environment.description == "built with uv from requirements.txt, svc/requirements.txt"
    assert environment.notes == ()
    code = "import alpha, beta, pytest, sys; print(alpha.__version__, beta.__version__, sys.prefix)"
    assert ask(environment, code, sandbox, tmp_path / "run") == f"1.0 1.0 {environment.python.parent.parent}"
    built = environment.python.parents[2]
    for path in [built, *built.rglob("*")]:
        mode = path.lstat().st_mode
        assert path.is_symlink() or mode & (0o555 if stat.S_ISDIR(mode) else 0o444) == (0o555 if stat.S_ISDIR(mode) else 0o444), path

    monkeypatch.setattr("uv.find_uv_bin", lambda: "/nonexistent/uv")  # a second build would fail
    assert found(tree, progress=progress) == environment
    assert progress == ["installing 3 packages"]
    write(tree, {"requirements.txt": "alpha\n"})
    with pytest.raises(NoEnvironmentError, match="uv cannot be started"):
        found(tree)


def test_real_index(tree: Path, tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    write(tree, {"requirements.txt": "iniconfig\n"})
    try:
        environment = resolve(tree, repository=tree, python=None, cache=tmp_path / "cache", sandbox=sandbox)
    except NoEnvironmentError as error:
        if "index cannot be reached" in error.message:
            pytest.skip(error.message)
        raise
    printed = ask(environment, "import iniconfig, pytest; print(pytest.version_tuple[0] >= 7)", sandbox, tmp_path / "run")
    assert printed == "True"


def test_offline_is_named(tree: Path, tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    write(tree, {"requirements.txt": "iniconfig\n"})
    with pytest.raises(NoEnvironmentError, match="the package index cannot be reached") as caught:
        resolve(tree, repository=tree, python=None, cache=tmp_path / "cache", sandbox=sandbox)
    assert "--python" in caught.value.cure
    assert [path.name for path in (tmp_path / "cache" / "environments").iterdir()] == []


def test_the_repository_does_not_steer_uv(tree: Path, found: Resolve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evil = '[[tool.uv.index]]\nurl = "http://127.0.0.1:9/simple"\ndefault = true\n[tool.uv.sources]\nalpha = {path = "../evil"}\n'
    write(tree, {"pyproject.toml": '[project]\nname = "d"\ndependencies = ["alpha"]\n' + evil, "uv.toml": "cache-dir = '/nonexistent'\n"})
    monkeypatch.chdir(tree)
    monkeypatch.setenv("UV_CONSTRAINT", str(tree / "none.txt"))
    monkeypatch.setenv("UV_PROJECT", str(tree))
    monkeypatch.setenv("PYTHONPATH", str(tree))
    assert found(tree).notes == ()
    assert sorted(path.name for path in tree.iterdir()) == ["pyproject.toml", "uv.toml"]


def test_no_wheel_is_named_and_not_built(tree: Path, found: Resolve, wheels: Path) -> None:
    write(tree, {"requirements.txt": "alpha\n", "svc/requirements.txt": "nowheel\n"})
    with pytest.raises(NoEnvironmentError, match=r"svc/requirements\.txt cannot be installed .*nowheel") as caught:
        found(tree)
    assert "--python" in caught.value.cure
    assert not (wheels / "ran").exists()


def test_test_requirements_are_dropped_one_by_one(tree: Path, found: Resolve, tmp_path: Path, sandbox: Sandbox) -> None:
    extras = '[project.optional-dependencies]\ntest = ["nowheel", "beta", "alpha==2.0", "no-such-package"]\n'
    write(tree, {"pyproject.toml": f'[project]\nname = "d"\ndependencies = ["needsalpha"]\n{extras}'})
    environment = found(tree)
    assert [note.split(" (")[0] for note in environment.notes] == ["dropped: nowheel", "dropped: alpha==2.0", "dropped: no-such-package"]
    printed = ask(environment, "import alpha, beta, pytest; print(alpha.__version__)", sandbox, tmp_path / "run")
    assert printed == "1.0"


def test_conflicting_services_lose_their_pins(tree: Path, found: Resolve, tmp_path: Path, sandbox: Sandbox) -> None:
    write(tree, {"a/requirements.txt": "alpha==1.0\n", "b/requirements.txt": "alpha==2.0\nbeta\n"})
    environment = found(tree)
    assert environment.notes == (
        "the requirements in b/requirements.txt conflict with those in a/requirements.txt; installed without their pins",
    )
    assert ask(environment, "import alpha, beta; print(alpha.__version__)", sandbox, tmp_path / "run") == "2.0"


def test_stale_lock_gives_way(tree: Path, found: Resolve) -> None:
    toml = '[tool.poetry]\nname = "d"\n[tool.poetry.dependencies]\nalpha = "^2.0"\n'
    write(tree, {"pyproject.toml": toml, "poetry.lock": '[[package]]\nname = "alpha"\nversion = "1.0"\n'})
    assert found(tree).notes == ("the locked versions cannot be installed together; other versions were taken",)


UV_LOCK = """
version = 1
revision = 3
requires-python = ">=3.9"

[[package]]
name = "demo"
version = "1"
source = { virtual = "." }
dependencies = [{ name = "alpha" }]

[package.dev-dependencies]
extra = [{ name = "gamma" }]

[package.metadata]
requires-dist = [{ name = "alpha" }]

[package.metadata.requires-dev]
extra = [{ name = "gamma" }]

[[package]]
name = "alpha"
version = "1.0"
source = { registry = "https://evil.example/simple" }
sdist = { url = "https://evil.example/alpha-1.0.tar.gz", hash = "sha256:HASH", size = 1 }

[[package]]
name = "gamma"
version = "1.0"
source = { registry = "https://evil.example/simple" }
sdist = { url = "https://evil.example/gamma-1.0.tar.gz", hash = "sha256:HASH", size = 1 }
""".replace("HASH", "0" * 64)


@pytest.mark.parametrize("damaged", [False, True])
def test_uv_lock(tree: Path, found: Resolve, tmp_path: Path, sandbox: Sandbox, damaged: bool) -> None:
    toml = '[project]\nname = "demo"\nversion = "1"\ndependencies = ["alpha"]\n[dependency-groups]\nextra = ["gamma"]\n'
    write(
        tree,
        {"pyproject.toml": toml, "uv.lock": UV_LOCK.replace("version = 1\nrevision", "version = 99\nrevision") if damaged else UV_LOCK},
    )
    environment = found(tree)
    assert environment.description == "built with uv from pyproject.toml, uv.lock"
    code = "import alpha, importlib.util as u; print(alpha.__version__, u.find_spec('gamma') is not None)"
    assert ask(environment, code, sandbox, tmp_path / "run") == f"1.0 {not damaged}"
    assert environment.notes == (("uv.lock cannot be exported; its versions are used as pins",) if damaged else ())


RUN = """
import sys, pathlib
from fixbot.agent.environments import resolve
from fixbot.agent.sandbox.choose import choose
tree, cache = map(pathlib.Path, sys.argv[1:])
print(resolve(tree, repository=tree, python=None, cache=cache, sandbox=choose("auto", tree)).python)
"""


def start(tree: Path, cache: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", RUN, str(tree), str(cache)], stdout=subprocess.PIPE, text=True, start_new_session=True)


@pytest.mark.usefixtures("found")
def test_two_builds_at_once_and_a_killed_one(tree: Path, tmp_path: Path) -> None:
    write(tree, {"requirements.txt": "alpha\nbeta\n"})
    cache = tmp_path / "cache2"
    places = cache / "environments"
    killed = start(tree, cache)
    deadline = time.monotonic() + 20
    while not list(places.glob(".building-*")) and time.monotonic() < deadline:
        time.sleep(0.005)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    left = list(places.glob(".building-*"))
    assert left
    assert not [path for path in places.iterdir() if not path.name.startswith(".")]
    os.utime(left[0], (0, time.time() - STALE_SECONDS - 60))

    both = [start(tree, cache) for _ in range(2)]
    printed = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert printed[0] == printed[1]
    assert len(list(places.iterdir())) == 1


def test_damaged_cache_entry_is_built_again(tree: Path, found: Resolve) -> None:
    write(tree, {"requirements.txt": "alpha\n"})
    environment = found(tree)
    environment.python.unlink()
    again: list[str] = []
    assert found(tree, progress=again).python == environment.python
    assert again == ["installing 2 packages"]
    assert environment.python.exists()


def test_comments_behind_requirements_of_tox(tmp_path: Path) -> None:
    write(tmp_path, {"tox.ini": "[testenv]\ndeps =\n    attrs < 21.1.0  # see https://example.com/608\n    # nothing\n    pytest\n"})
    found = declared(tmp_path)
    assert (dict(found.tests), found.notes) == ({"tox.ini": ("attrs<21.1.0", "pytest")}, ())
