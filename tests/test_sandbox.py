"""What a sandbox promises, each promise against a real process that tries to break it. Numbers are rows of the design's case table."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from fixbot.agent.errors import SandboxError, UsageError
from fixbot.agent.sandbox import bubblewrap, output, seccomp
from fixbot.agent.sandbox.base import Command, Limits, MiB, Outcome, Sandbox
from fixbot.agent.sandbox.choose import choose, explain, weaknesses
from fixbot.agent.sandbox.landlock import Landlock, gaps, rights

PYTHON = "/usr/bin/python3"
RUNNER = Path(__file__).with_name("sandbox_user.py")
PACKAGE = Path(bubblewrap.__file__).parent.parent
pytestmark = pytest.mark.skipif(not Path(PYTHON).exists(), reason="the commands in the sandbox need /usr/bin/python3")


@dataclass(frozen=True)
class Box:
    """A sandbox and a folder to work in."""

    sandbox: Sandbox
    root: Path
    mount: Path
    env: dict[str, str] = field(default_factory=dict[str, str])

    def run(self, *argv: str, on_event: Callable[[bytes], None] | None = None, **limits: float) -> Outcome:
        bounds = Limits(**{"seconds": 20, **limits})  # pyright: ignore[reportArgumentType]
        return self.sandbox.run(Command(argv, self.root, self.mount, env=self.env, limits=bounds, on_event=on_event))

    def at(self, cwd: str) -> Outcome:
        return self.sandbox.run(Command(["pwd"], self.root, self.mount, cwd, limits=Limits(seconds=20)))

    def python(self, script: str, on_event: Callable[[bytes], None] | None = None, **limits: float) -> Outcome:
        return self.run(PYTHON, "-c", script, on_event=on_event, **limits)


@functools.cache
def chosen(rung: str) -> Sandbox | str:
    try:
        return choose(rung, Path("/nonexistent"))
    except SandboxError as error:
        return f"{rung} cannot be had here: {error.message}"


def make_box(rung: str, folder: Path) -> Box:
    root = folder / "copy"
    root.mkdir()
    sandbox = chosen(rung)
    if isinstance(sandbox, str):
        pytest.skip(sandbox)
    return Box(sandbox, root, Path("/repo") if sandbox.moves else root)


@pytest.fixture(params=["bwrap", "landlock"])
def box(request: pytest.FixtureRequest, tmp_path: Path) -> Box:
    return make_box(request.param, tmp_path)


@pytest.fixture(params=["bwrap", "landlock", "none"])
def any_box(request: pytest.FixtureRequest, tmp_path: Path) -> Box:
    return make_box(request.param, tmp_path)


@pytest.fixture
def bwrap(tmp_path: Path) -> Box:
    return make_box("bwrap", tmp_path)


@pytest.fixture
def landlock(tmp_path: Path) -> Box:
    return make_box("landlock", tmp_path)


@pytest.fixture
def marker() -> Iterator[str]:
    """An argument for ``sleep`` that no other process has; what is left of it at the end is killed."""
    text = f"77{uuid.uuid4().int % 10**12}"
    yield text
    for pid in having(text):
        os.kill(pid, signal.SIGKILL)


def having(text: str) -> list[int]:
    """Processes with this text in their command line, but for those that test it."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if text.encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def wait_for(condition: Callable[[], object], seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def picture(folder: Path) -> str:
    """A hash of all names, contents, modes and times below a folder."""
    lines: list[str] = []
    for path in sorted([folder, *folder.rglob("*")]):
        status = path.lstat()
        content = os.readlink(path) if path.is_symlink() else path.read_bytes().hex() if path.is_file() else ""
        lines.append(f"{path} {status.st_mode} {status.st_uid} {status.st_mtime_ns} {status.st_nlink} {content}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


# --- an ordinary command


def test_output_and_exit_code(any_box: Box) -> None:
    outcome = any_box.run("sh", "-c", "echo out; echo err >&2; pwd; exit 3")
    assert (outcome.exit_code, outcome.limit) == (3, None)
    assert outcome.output == f"out\nerr\n{any_box.mount}\n"
    assert 0 < outcome.seconds < 10


def test_signal_is_a_negative_exit_code(any_box: Box) -> None:
    assert any_box.run("sh", "-c", "kill -SEGV $$").exit_code == -signal.SIGSEGV
    assert any_box.run("sh", "-c", "kill -KILL $$").exit_code == -signal.SIGKILL


def test_program_that_is_not_there(any_box: Box) -> None:
    outcome = any_box.run("no-such-program")
    assert outcome.exit_code == 127
    assert "no-such-program" in outcome.output
    assert "No such file" in outcome.output


def test_cannot_pass_for_a_broken_sandbox(bwrap: Box) -> None:
    outcome = bwrap.run("sh", "-c", "echo 'bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted'; exit 1")
    assert (outcome.exit_code, outcome.limit) == (1, None)


def test_writes_in_the_copy_and_in_home_and_tmp(any_box: Box) -> None:
    script = (
        "import os, tempfile, pathlib\n"
        "pathlib.Path('made').write_text('x')\n"
        "pathlib.Path(os.environ['HOME'], 'h').write_text('x')\n"
        "assert pathlib.Path.home() == pathlib.Path(os.environ['HOME'])\n"
        "with tempfile.NamedTemporaryFile() as f: f.write(b'x')\n"
        "print('all written')"
    )
    assert any_box.python(script).output == "all written\n"
    assert (any_box.root / "made").read_text() == "x"


def test_starts_in_cwd(any_box: Box) -> None:
    (any_box.root / "sub").mkdir()
    assert any_box.at("sub").output == f"{any_box.mount / 'sub'}\n"
    for bad in ("..", "/etc", "sub/../.."):
        with pytest.raises(SandboxError, match="not a folder inside"):
            any_box.at(bad)


def test_users_and_names_that_python_needs(bwrap: Box) -> None:
    script = "import os, pwd, grp, socket\n"
    script += "print(pwd.getpwuid(os.getuid()).pw_dir, grp.getgrgid(os.getgid()).gr_name, socket.gethostbyname('localhost'))"
    assert bwrap.python(script).output == "/tmp/home fixbot 127.0.0.1\n"


def test_pipelines_end_by_sigpipe(box: Box) -> None:
    assert box.run("sh", "-c", "yes | head -n 1").output == "y\n"


def test_readable_is_read_only(box: Box, tmp_path: Path) -> None:
    extra = tmp_path / "extra"
    extra.mkdir()
    (extra / "lib.py").write_text("value = 41")
    inside = Path("/opt/extra") if box.sandbox.moves else extra
    before = picture(extra)
    script = (
        f"import sys; sys.dont_write_bytecode = True; sys.path.insert(0, '{inside}'); import lib, os; print(lib.value + 1)\n"
        f"for action in (lambda: open('{inside}/lib.py', 'a'), lambda: open('{inside}/new', 'w'), lambda: os.unlink('{inside}/lib.py'),\n"
        f"               lambda: os.chmod('{inside}/lib.py', 0o777), lambda: os.link('{inside}/lib.py', 'linked')):\n"
        "    try: action(); print('done')\n"
        "    except OSError: print('denied')"
    )
    command = Command([PYTHON, "-c", script], box.root, box.mount, readable=[(extra, inside)], limits=Limits(seconds=20))
    assert box.sandbox.run(command).output.split()[:3] == ["42", "denied", "denied"]
    assert picture(extra) == before
    assert not (box.root / "linked").exists()


def test_refuses_places_that_are_taken(bwrap: Box) -> None:
    for mount in ("/", "/usr/lib/x", "/proc/x", "/tmp", "/a/../b", "relative"):
        with pytest.raises(SandboxError, match="place inside"):
            bwrap.sandbox.run(Command(["true"], bwrap.root, Path(mount)))


def test_refuses_to_move_where_it_cannot(landlock: Box) -> None:
    with pytest.raises(SandboxError, match="cannot show"):
        landlock.sandbox.run(Command(["true"], landlock.root, Path("/repo")))


def test_nul_does_not_become_an_option_of_bwrap(bwrap: Box) -> None:
    command = Command(["true"], bwrap.root, bwrap.mount, env={"A": "x\0--bind\0/\0/host"})
    with pytest.raises(SandboxError, match="NUL"):
        bwrap.sandbox.run(command)


# --- rows 1 to 4: network, sockets, secrets


def listener(kind: int, address: tuple[str, int] | str) -> tuple[socket.socket, list[object]]:
    """A socket of the host that counts who comes."""
    server = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET, kind)
    server.bind(address)
    came: list[object] = []
    if kind == socket.SOCK_STREAM:
        server.listen()

    def serve() -> None:
        while True:
            try:
                if kind == socket.SOCK_STREAM:
                    server.accept()[0].close()
                else:
                    server.recv(10)
                came.append(True)
            except OSError:
                return

    threading.Thread(target=serve, daemon=True).start()
    return server, came


def close(server: socket.socket) -> None:
    server.shutdown(socket.SHUT_RDWR) if server.type == socket.SOCK_STREAM else None
    server.close()


def test_row_1_host_network_is_out_of_reach(box: Box) -> None:
    (tcp, accepted), (udp, received) = listener(socket.SOCK_STREAM, ("127.0.0.1", 0)), listener(socket.SOCK_DGRAM, ("127.0.0.1", 0))
    script = (
        "import socket\n"
        "def attempt(name, action):\n"
        "    try: action(); print(name, 'sent')\n"
        "    except OSError as error: print(name, 'denied')\n"
        f"attempt('tcp', lambda: socket.create_connection(('127.0.0.1', {tcp.getsockname()[1]}), 2))\n"
        "attempt('out', lambda: socket.create_connection(('192.0.2.1', 80), 2))\n"
        "attempt('dns', lambda: socket.getaddrinfo('example.org', 80))\n"
        "attempt('vsock', lambda: socket.socket(socket.AF_VSOCK))\n"
        f"udp = lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {udp.getsockname()[1]}))\n"
        "attempt('udp', udp)"
    )
    outcome = box.python(script)
    time.sleep(0.2)
    socket.create_connection(tcp.getsockname()).close()  # the listener does count
    assert wait_for(lambda: len(accepted) == 1)
    assert (len(accepted), received) == (1, [])
    assert outcome.output.split("\n")[:4] == ["tcp denied", "out denied", "dns denied", "vsock denied"]
    close(tcp)
    udp.close()


def test_row_1_own_loopback_works(bwrap: Box) -> None:
    script = (
        "import socket\nserver = socket.create_server(('127.0.0.1', 0))\n"
        "client = socket.create_connection(server.getsockname()); client.sendall(b'hello')\n"
        "print(server.accept()[0].recv(5))"
    )
    assert bwrap.python(script).output == "b'hello'\n"


def test_row_2_host_unix_sockets_are_out_of_reach(box: Box) -> None:
    folder = tempfile.mkdtemp()
    abstract = f"\0fixbot-{uuid.uuid4()}"
    servers = [listener(socket.SOCK_STREAM, f"{folder}/s"), listener(socket.SOCK_STREAM, abstract)]
    datagram, received = listener(socket.SOCK_DGRAM, f"{folder}/d")
    script = (
        "import socket\n"
        f"for address in ('{folder}/s', {abstract!r}):\n"
        "    try: socket.socket(socket.AF_UNIX).connect(address); print('connected')\n"
        "    except OSError as error: print('denied')\n"
        "kind = socket.AF_UNIX, socket.SOCK_DGRAM\n"
        "for make in (lambda: socket.socket(*kind), lambda: socket.socketpair(*kind)[0]):\n"
        f"    try: make().sendmsg([b'x'], [], 0, '{folder}/d'); print('sent')\n"
        "    except OSError as error: print('denied')\n"
        "a, b = socket.socketpair(); a.send(b'x'); print(b.recv(1))"
    )
    assert box.python(script).output.split() == ["denied"] * 4 + ["b'x'"]
    time.sleep(0.1)
    assert [came for _, came in servers] == [[], []]
    assert received == []
    for server, _ in servers:
        close(server)
    datagram.close()
    shutil.rmtree(folder)


def test_row_3_environment_is_not_readable(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FB_CANARY", "canary-5150")
    # a process that has it in its environment and command line for sure: os.environ of this one came to be after its start
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "canary-5150"])
    script = (
        "import glob, os\n"
        "canary, seen = b'canary-' + b'5150', [str(os.environ).encode()]\n"
        "for path in glob.glob('/proc/*/environ') + glob.glob('/proc/*/cmdline') + glob.glob('/proc/*/task/*/environ')"
        f" + ['/proc/{other.pid}/environ', '/proc/{os.getpid()}/environ', '/proc/{other.pid}/cmdline', '/proc/self/environ']:\n"
        "    try: seen.append(open(path, 'rb').read())\n"
        "    except OSError: pass\n"
        "print(sorted(os.environ), any(canary in text for text in seen))"
    )
    box.env["GIVEN"] = "1"
    text = box.python(script).output
    other.kill()
    other.wait()
    assert text.endswith(" False\n")
    names = set(text[text.index("[") + 1 : text.index("]")].replace("'", "").split(", "))
    assert {"GIVEN", "HOME", "PATH", "TMPDIR"} <= names <= {"GIVEN", "HOME", "PATH", "TMPDIR", "PWD", "LC_CTYPE"}


def test_row_4_home_is_not_readable(box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    paths = [home / ".ssh/id_ed25519", home / ".netrc", home / ".config/gh/hosts.yml", tmp_path / "other-repo/x.py"]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("canary-5151")
    monkeypatch.setenv("HOME", str(home))
    (box.root / "link").symlink_to(paths[0])
    script = (
        "import os, sys\n"
        "for path in sys.argv[1:]:\n"
        "    try: print(open(path).read())\n"
        "    except OSError: print('denied')\n"
        "for path in sys.argv[1:5]:\n"
        "    try: print(os.listdir(os.path.dirname(path)))\n"
        "    except OSError: print('denied')"
    )
    hidden = [str(path) for path in paths] + ["/etc/shadow", "/root/.bashrc"]
    outcome = box.run(PYTHON, "-c", script, *hidden, f"{box.mount}/link")
    assert outcome.output == "denied\n" * 11


# --- rows 5 to 7: files


def test_row_5_nothing_outside_changes(box: Box, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "sub").mkdir(parents=True)
    (outside / "file").write_text("old")
    (box.root / "up").symlink_to(outside)
    (box.root / "mine").write_text("mine")
    before = picture(outside)
    script = (
        "import os, sys\n"
        "base, results = sys.argv[1], []\n"
        "for where in (base, 'up', os.path.relpath(base)):\n"
        "    for action in (lambda: open(where + '/file', 'w'), lambda: open(where + '/file', 'a'), lambda: open(where + '/new', 'x'),\n"
        "            lambda: os.truncate(where + '/file', 0), lambda: os.unlink(where + '/file'), lambda: os.mkdir(where + '/d'),\n"
        "            lambda: os.rmdir(where + '/sub'), lambda: os.rename(where + '/file', 'stolen'),\n"
        "            lambda: os.rename('mine', where + '/m'),\n"
        "            lambda: os.link(where + '/file', 'hard'), lambda: os.symlink('x', where + '/s'), lambda: os.mkfifo(where + '/f'),\n"
        "            lambda: os.chown(where + '/file', 1, 1), lambda: os.setxattr(where + '/file', 'user.x', b'1')):\n"
        "        try: action(); results.append('done')\n"
        "        except OSError: results.append('denied')\n"
        "    for action in (lambda: os.chmod(where + '/file', 0o777), lambda: os.chmod(where, 0o777),\n"
        "            lambda: os.utime(where + '/file', (1, 1))):\n"
        "        try: action()\n"  # in the landlock rung: left undone in silence
        "        except OSError: pass\n"
        "print(set(results), len(results))"
    )
    outcome = box.run(PYTHON, "-c", script, str(outside))
    assert outcome.output == "{'denied'} 42\n"
    assert picture(outside) == before
    assert (box.root / "mine").read_text() == "mine"


def test_row_5_system_folders_are_read_only(box: Box) -> None:
    script = (
        "import os\n"
        "for path in ('/x', '/usr/x', '/etc/x', '/dev/x', '/var/x', '/proc/sys/x', '/home/x', '/root/x', '/run/x'):\n"
        "    try: open(path, 'x'); print('made', path)\n"
        "    except OSError: pass\n"
        # never write to these: where a sandbox fails, only the opening may succeed
        "for path in ('/proc/sys/kernel/core_pattern', '/proc/sys/vm/drop_caches', '/proc/sysrq-trigger', '/proc/sys/kernel/modprobe'):\n"
        "    try: os.close(os.open(path, os.O_WRONLY)); print('opened', path)\n"
        "    except OSError: pass\n"
        "open('/dev/null', 'w').write('x')\n"
        "print('end')"
    )
    assert box.python(script).output == "end\n"


def test_row_7_deleting_all_loses_only_the_copy(box: Box, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("stays")
    (box.root / "deep").mkdir()
    (box.root / "link").symlink_to(outside)
    box.run("sh", "-c", f"rm -rf ./* .[!.]* {outside} {tmp_path}")
    assert not any(box.root.iterdir())
    assert (outside / "file").read_text() == "stays"
    assert box.run("true").exit_code == 0


# --- rows 8 to 13: limits

BOMB = """
import os, time
end = time.monotonic() + 5
for _ in range(2000):
    if time.monotonic() > end: break
    try:
        if os.fork() == 0:
            time.sleep(8); os._exit(0)
    except OSError: time.sleep(0.01)
time.sleep(8)
"""
MEMORY = "held = []\nfor _ in range(60): held.append(b'x' * 20_000_000)\nimport time; time.sleep(8)"
MEMORY_OF_CHILDREN = """
import os, time
for _ in range(12):
    if os.fork() == 0:
        held = b'x' * 60_000_000
        time.sleep(8); os._exit(0)
time.sleep(8)
"""


def test_row_8_fork_bomb(any_box: Box, marker: str) -> None:
    most = 0
    running = True

    def count() -> None:
        nonlocal most
        while running:
            most = max(most, len(having(marker)))
            time.sleep(0.05)

    counter = threading.Thread(target=count)
    counter.start()
    outcome = any_box.python(f"# {marker}{BOMB}", processes=40)
    running = False
    counter.join()
    assert (outcome.exit_code, outcome.limit) == (None, "processes")
    assert outcome.seconds < 5
    assert most < 1000
    assert having(marker) == []


@pytest.mark.parametrize("script", [MEMORY, MEMORY_OF_CHILDREN], ids=["one", "children"])
def test_row_9_memory(any_box: Box, marker: str, script: str) -> None:
    outcome = any_box.python(f"# {marker}\n{script}", memory=300 * MiB)
    assert (outcome.exit_code, outcome.limit) == (None, "memory")
    assert outcome.seconds < 8
    assert having(marker) == []


def test_row_9_memory_below_the_limit(box: Box) -> None:
    assert box.python("held = b'x' * 100_000_000; print(len(held))", memory=300 * MiB).output == "100000000\n"


ENDLESS = {
    "loop": "while True: pass",
    "ignores SIGTERM": "import signal, time\nfor n in (1, 2, 15): signal.signal(n, signal.SIG_IGN)\ntime.sleep(60)",
    "stopped": "import os, signal\nif os.fork() == 0: os.kill(os.getppid(), signal.SIGSTOP)\nos.kill(os.getpid(), signal.SIGSTOP)",
    "atexit": "import atexit, time\natexit.register(time.sleep, 60)",
    "children": "import os, time\n[os.fork() for _ in range(3)]\ntime.sleep(60)",
}


@pytest.mark.parametrize("script", ENDLESS.values(), ids=ENDLESS.keys())
def test_rows_10_and_19_wall_limit(box: Box, marker: str, script: str) -> None:
    outcome = box.python(f"# {marker}\nprint('begun', flush=True)\n{script}", seconds=0.5)
    assert (outcome.exit_code, outcome.limit) == (None, "time")
    assert outcome.output == "begun\n"
    assert 0.5 <= outcome.seconds < 4
    assert having(marker) == []


def test_cpu_limit(box: Box) -> None:
    ignore = "" if box.sandbox.moves else "import signal; signal.signal(signal.SIGXCPU, signal.SIG_IGN)\n"
    outcome = box.python(f"{ignore}while True: pass", cpu_seconds=1)
    assert (outcome.exit_code, outcome.limit) == (None, "time")


DAEMONS = {
    "setsid": "setsid sleep {} &",
    "double fork": "(setsid sh -c '(sleep {} & sleep {} &) & exit 0' &)",
    "ignores signals": "trap '' HUP TERM; setsid sleep {} & sleep {} &",
}


@pytest.mark.parametrize("script", DAEMONS.values(), ids=DAEMONS.keys())
def test_row_11_daemons_die_and_do_not_delay(any_box: Box, marker: str, script: str) -> None:
    outcome = any_box.run("sh", "-c", script.replace("{}", marker) + "\nsleep 0.2; echo end")
    assert (outcome.output, outcome.limit, outcome.seconds < 5) == ("end\n", None, True)
    assert having(marker) == []


def test_row_12_file_size(any_box: Box) -> None:
    for argv in (["sh", "-c", "exec head -c 3000000 /dev/zero > big"], [PYTHON, "-c", "open('big', 'wb').write(bytes(3_000_000))"]):
        outcome = any_box.run(*argv, file_size=MiB)
        assert (outcome.exit_code, outcome.limit) == (None, "disk")
        assert (any_box.root / "big").stat().st_size <= MiB


@pytest.mark.parametrize("folder", ["/tmp", "/dev/shm", "/tmp/home", "/var/tmp"])
def test_row_12_tmp_size(bwrap: Box, folder: str) -> None:
    script = f"for n in range(9): open('{folder}/%d' % n, 'wb').write(bytes(1_000_000))"
    outcome = bwrap.python(script, tmp_size=4 * MiB)
    assert (outcome.exit_code, outcome.limit) == (None, "disk")


def test_row_13_endless_output_in_little_memory(box: Box) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcome = box.run("sh", "-c", "echo first; yes", seconds=0.5, output=2000)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB
    assert outcome.limit == "time"
    assert outcome.output.startswith("first\ny\ny\n")
    assert outcome.output.endswith("y\ny\n")
    assert "bytes left out" in outcome.output
    assert len(outcome.output) < 2100


def test_row_13_one_long_line_and_nuls(box: Box) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    script = "import os\nfor _ in range(300): os.write(1, b'\\0' * 900_000 + b'x' * 100_000)\nos.write(1, b'the end')"
    outcome = box.python(script, output=2000)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000
    assert outcome.exit_code == 0
    assert outcome.output.endswith("xxxthe end")
    assert "\0" not in outcome.output
    assert len(outcome.output) < 2100


def test_output_is_safe_to_show(box: Box) -> None:
    raw = r"a\033[31mred\033[0m\033]0;title\007b\033]8;;http://x\033\\link\tc\r\nd\0\001\177\342\200\256e\377"
    assert box.run("printf", raw).output == "aredblink\tc\nde\N{REPLACEMENT CHARACTER}"


def test_head_and_tail_meet() -> None:
    for size in (10, 11, 12, 13, 100):
        kept = output.HeadTail(10)
        for number in range(size):
            kept.feed(bytes([65 + number % 26]))
        whole = "".join(chr(65 + number % 26) for number in range(size))
        assert kept.text() == (whole if size <= 10 else f"{whole[:5]}\n[... {size - 10} bytes left out ...]\n{whole[-5:]}")


# --- rows 14 and 15: terminal and kernel


def test_row_14_no_input_and_no_terminal(box: Box) -> None:
    script = (
        "import fcntl, os, sys, termios\n"
        "print(repr(sys.stdin.read()), os.getsid(0) == os.getpid() or os.getsid(0) != 0)\n"
        "try: os.open('/dev/tty', os.O_RDWR); print('opened')\n"
        "except OSError: print('no tty')\n"
        "try: fcntl.ioctl(0, termios.TIOCSTI, b'x'); print('typed')\n"
        "except OSError as error: print(error.errno)\n"
        "input()"
    )
    outcome = box.python(script)
    assert outcome.output.startswith("'' True\nno tty\n1\n")  # 1 is EPERM, by the filter; without it /dev/null says ENOTTY
    assert outcome.output.endswith("EOFError: EOF when reading a line\n")
    assert outcome.exit_code == 1


KERNEL = """
import ctypes, os, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
def attempt(name, *arguments):
    ctypes.set_errno(0)
    if libc.syscall(*arguments) != -1: print(name, 'worked')
    elif ctypes.get_errno() not in (1, 38): print(name, os.strerror(ctypes.get_errno()))
def test(name, action):
    try: action(); print(name, 'worked')
    except OSError: pass
NUMBERS = dict(ptrace=101, mount=165, umount2=166, pivot_root=155, chroot=161, unshare=272, setns=308, bpf=321, keyctl=250, add_key=248,
    io_uring_setup=425, userfaultfd=323, perf_event_open=298, open_tree=428, fsopen=430, process_vm_readv=310, syslog=103, clone3=435)
for name, number in NUMBERS.items(): attempt(name, number, 0, 0, 0, 0, 0, 0)
attempt('unshare user', 272, 0x10000000)
attempt('clone user', 56, 0x10000000 | 17, 0, 0, 0, 0)
attempt('x32 getpid', 0x40000000 | 39)
host = int(sys.argv[1])
if host: test('signal host', lambda: os.kill(host, 0))
if host: attempt('limits of host', 302, host, 7, None, None)
try: status = open('/proc/self/status').read()
except OSError: status = ''
for line in status.splitlines():
    if line.startswith(('CapPrm', 'CapEff', 'CapBnd')) and int(line.split()[1], 16): print(line)
    if line.startswith(('NoNewPrivs', 'Seccomp:')) and line.split()[1] == '0': print(line)
header, data = (ctypes.c_uint * 2)(0x20080522, 0), (ctypes.c_uint * 6)()
print('capget', libc.capget(header, data), list(data), 'nnp', libc.prctl(39, 0, 0, 0, 0))
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers in this test are those of x86_64")
def test_row_15_kernel_calls_are_denied(box: Box) -> None:
    host = "0" if box.sandbox.moves else str(os.getpid())  # in a pid namespace the number may be that of another process
    assert box.run(PYTHON, "-c", KERNEL, host).output == "capget 0 [0, 0, 0, 0, 0, 0] nnp 1\n"


def test_row_15_killing_its_parents_only_harms_itself(box: Box, marker: str) -> None:
    # pid 1 in bwrap is bwrap's own; in the landlock rung it is the host's, so only signal 0 is sent there
    number = "9" if box.sandbox.moves else "0"
    script = f"# {marker}\nimport os\n"
    script += f"for pid in (1, os.getppid()):\n    try: os.kill(pid, {number})\n    except OSError: print('denied')\nprint('end')"
    outcome = box.python(script)
    assert outcome.limit is None
    assert having(marker) == []
    if not box.sandbox.moves:
        assert outcome.output == "denied\ndenied\nend\n"


def test_filters_for_other_processors() -> None:
    for machine in ("x86_64", "aarch64", "riscv64"):
        assert len(seccomp.program(strict=True, machine=machine)) > len(seccomp.program(strict=False, machine=machine)) > 500
    assert seccomp.program(strict=True, machine="s390x") == b""


# --- the event pipe

EVENTS = "import os, signal\nfd = int(os.environ['FIXBOT_EVENTS_FD'])\n"


def test_events_in_order_also_when_killed(any_box: Box) -> None:
    got: list[bytes] = []
    script = EVENTS + "for n in range(20000): os.write(fd, b'%d\\n' % n)\n"
    script += "os.write(fd, b'half a line')\nos.kill(os.getpid(), signal.SIGKILL)"
    outcome = any_box.python(script, on_event=got.append)
    assert outcome.exit_code == -signal.SIGKILL
    assert got == [b"%d" % number for number in range(20000)]


def test_events_at_the_wall_limit(box: Box) -> None:
    got: list[bytes] = []
    outcome = box.python(EVENTS + "os.write(fd, b'one\\n')\nwhile True: pass", on_event=got.append, seconds=0.5)
    assert (outcome.limit, got) == ("time", [b"one"])


def test_events_are_capped(box: Box) -> None:
    got: list[bytes] = []
    outcome = box.python(EVENTS + "while True: os.write(fd, b'x' * 999 + b'\\n')", on_event=got.append, events=MiB)
    assert (outcome.exit_code, outcome.limit) == (None, "output")
    assert len(got) <= 1200


def test_long_event_is_dropped(box: Box) -> None:
    got: list[bytes] = []
    script = EVENTS + "f = os.fdopen(fd, 'wb')\nf.write(b'a\\n' + b'x' * 2_000_000 + b'\\n' + b'y' * 1_000_000 + b'\\nb\\n')\nf.close()"
    box.python(script, on_event=got.append)
    assert got == [b"a", b"y" * 1_000_000, b"b"]


def test_no_event_pipe_unless_wanted(any_box: Box) -> None:
    script = "import os; print('FIXBOT_EVENTS_FD' in os.environ, [n for n in range(3, 1100) if os.path.exists('/proc/self/fd/%d' % n)][1:])"
    any_box.env["FIXBOT_EVENTS_FD"] = "1"
    assert any_box.python(script).output == "False []\n"


def test_exception_in_on_event_ends_the_command(box: Box, marker: str) -> None:
    def fail(line: bytes) -> None:
        raise RuntimeError(line.decode())

    with pytest.raises(RuntimeError, match="one"):
        box.python(f"# {marker}\n{EVENTS}os.write(fd, b'one\\n')\nwhile True: pass", on_event=fail)
    assert having(marker) == []


# --- rows 21 to 23: which sandbox


def script_at(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_row_21_path_without_bwrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usable = {rung: works for rung, works, _ in explain(tmp_path)}
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxError, match="not installed") as caught:
        choose("bwrap", tmp_path)
    assert "apt install bubblewrap" in caught.value.cure
    if usable["landlock"]:
        assert choose("auto", tmp_path).name == "landlock"
    else:
        with pytest.raises(SandboxError, match="no sandbox can be had"):
            choose("auto", tmp_path)
    assert [(rung, works) for rung, works, _ in explain(tmp_path)] == [("bwrap", False), ("landlock", usable["landlock"]), ("none", True)]


def test_row_21_auto_takes_bwrap_first(bwrap: Box) -> None:
    assert choose("auto", bwrap.root).name == "bwrap"


REFUSALS = {
    "bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted": "apparmor_restrict_unprivileged_userns",
    "bwrap: setting up uid map: Permission denied": "/etc/apparmor.d/bwrap",
    "bwrap: Failed to make / slave: Permission denied": "seccomp=unconfined",
    "bwrap: No permissions to create a new namespace, likely because the kernel does not allow it.": "unprivileged_userns_clone",
    "bwrap: Creating new namespace failed: Operation not permitted": "seccomp=unconfined",
    "bwrap: Creating new namespace failed: nesting depth or /proc/sys/user/max_*_namespaces exceeded (ENOSPC)": "user.max_user_namespaces",
    "bwrap: Unknown option --size": "0.7",
    "bwrap: Can't mount proc on /newroot/proc: Operation not permitted": "systempaths=unconfined",
}


def test_row_21_cures() -> None:
    for message, cure in REFUSALS.items():
        assert cure in bubblewrap.cure_for(message)
    assert bubblewrap.cure_for("bwrap: something new") == ""


@pytest.mark.parametrize(("message", "cure"), list(REFUSALS.items())[:3], ids=range(3))
def test_row_21_bwrap_that_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, message: str, cure: str) -> None:
    script_at(tmp_path / "bin/bwrap", f'echo "{message}" >&2; exit 1')
    (tmp_path / "target").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    with pytest.raises(SandboxError) as caught:
        choose("bwrap", tmp_path / "target")
    assert message in caught.value.message
    assert cure in caught.value.cure
    assert ("bwrap", False) in [(rung, works) for rung, works, _ in explain(tmp_path / "target")]


@pytest.mark.parametrize("path", [".", "", "{target}", "{target}/bin", "{tmp}/way-in", "{tmp}/elsewhere"])
def test_row_22_bwrap_of_the_target_is_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    target, ran = tmp_path / "target", tmp_path / "ran"
    for place in (target / "bwrap", target / "bin/bwrap"):
        script_at(place, f"touch {ran}")
    (tmp_path / "way-in").symlink_to(target)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/bwrap").symlink_to(target / "bwrap")
    monkeypatch.chdir(target)
    monkeypatch.setenv("PATH", path.format(target=target, tmp=tmp_path))
    with pytest.raises(SandboxError, match="not installed"):
        choose("bwrap", Path())
    monkeypatch.setenv("PATH", path.format(target=target, tmp=tmp_path) + ":/usr/bin:/bin")
    if Path("/usr/bin/bwrap").exists():
        assert bubblewrap.find(target) == Path("/usr/bin/bwrap").resolve()
    assert not ran.exists()


def test_row_23_none_only_by_name(tmp_path: Path) -> None:
    sandbox = choose("none", tmp_path)
    assert (sandbox.name, sandbox.moves) == ("none", False)
    for name in ("docker", "None", ""):
        with pytest.raises(UsageError, match="no such sandbox") as caught:
            choose(name, tmp_path)
        assert "auto, bwrap, landlock, none" in caught.value.cure


# --- the Landlock rung on older kernels


@pytest.mark.parametrize(
    ("abi", "files", "network", "scopes"),
    [
        (1, 0x1FFF, 0, 0),
        (2, 0x3FFF, 0, 0),
        (3, 0x7FFF, 0, 0),
        (4, 0x7FFF, 3, 0),
        (5, 0xFFFF, 3, 0),
        (6, 0xFFFF, 3, 3),
        (7, 0xFFFF, 3, 3),
    ],
)
def test_rights_of_each_landlock(abi: int, files: int, network: int, scopes: int) -> None:
    assert rights(abi) == (files, network, scopes)
    assert bool(gaps(abi)) == (abi < 6)


@pytest.fixture(params=[3, 4, 5])
def old(request: pytest.FixtureRequest, landlock: Box) -> Box:
    """The rung as it is on an older kernel."""
    return replace(landlock, sandbox=Landlock(request.param))


def test_old_landlock_keeps_the_promises_about_files_and_network(old: Box, tmp_path: Path) -> None:
    test_row_5_nothing_outside_changes(old, tmp_path)
    test_row_5_system_folders_are_read_only(old)
    test_row_1_host_network_is_out_of_reach(old)
    test_row_2_host_unix_sockets_are_out_of_reach(old)


def test_old_landlock_names_what_is_missing(old: Box, marker: str) -> None:
    (gap,) = weaknesses(old.sandbox)
    assert "signals" in gap
    script = f"# {marker}\nimport os\ntry: os.kill(-1, 0); print('everybody')\nexcept PermissionError: print('denied')"
    assert old.python(script).output == "denied\n"


@pytest.mark.parametrize("abi", [1, 2])
def test_too_old_a_landlock_is_refused(landlock: Box, abi: int) -> None:
    with pytest.raises(SandboxError, match=f"ABI {abi} is too old"):
        replace(landlock, sandbox=Landlock(abi)).run("true")


def test_nothing_is_missing_from_the_best_rungs(box: Box) -> None:
    if isinstance(box.sandbox, Landlock) and box.sandbox.gaps():
        pytest.skip("the kernel's Landlock is older than ABI 6")
    assert weaknesses(box.sandbox) == ()


# --- row 52, and what is left behind


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
@pytest.mark.parametrize("rung", ["bwrap", "landlock"])
def test_row_52_no_process_outlives_fixbot(tmp_path: Path, marker: str, rung: str, number: signal.Signals) -> None:
    box = make_box(rung, tmp_path)
    script = f"import subprocess, time\nsubprocess.Popen(['setsid', 'sleep', '{marker}'])\nopen('begun', 'w')\ntime.sleep(60)"
    argv = [sys.executable, str(RUNNER), rung, str(box.root), script]
    running = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "PATH": "/usr/bin:/bin"})
    assert wait_for((box.root / "begun").exists)
    assert len(having(marker)) >= 2
    running.send_signal(number)
    _, errors = running.communicate(timeout=10)
    assert running.returncode == -number
    assert ("KeyboardInterrupt" in errors.decode()) == (number == signal.SIGINT)
    assert wait_for(lambda: not having(marker), 5)


def groups_and_folders() -> set[Path]:
    made: set[Path] = set(Path(tempfile.gettempdir()).glob("fixbot-*"))
    for base in Path("/sys/fs/cgroup").glob("*"):
        made |= set(base.rglob(f"fixbot-{os.getpid()}-*"))
    return made


def test_leaves_nothing_on_the_host(any_box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # other tests that run now make folders of their own
    before = groups_and_folders()
    any_box.run("sh", "-c", "mkdir -p $HOME/a/b $TMPDIR/c; echo x > $HOME/a/b/f; sleep 9 & exit 1")
    any_box.run("sleep", "9", seconds=0.3)
    assert not groups_and_folders() - before


# --- an ordinary user, without control groups


@pytest.fixture(scope="module")
def as_user() -> Iterator[Callable[[str, str, Sequence[str]], list[object]]]:
    if os.geteuid() != 0:
        pytest.skip("not root: the tests above have already run as an ordinary user")
    if not shutil.which("setpriv"):
        pytest.skip("setpriv is not installed")
    base = Path(tempfile.mkdtemp(prefix="sandbox-user-"))
    (base / "fixbot/agent").mkdir(parents=True)
    shutil.copy(PACKAGE / "errors.py", base / "fixbot/agent")
    shutil.copytree(PACKAGE / "sandbox", base / "fixbot/agent/sandbox", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(RUNNER, base)
    subprocess.run(["chmod", "-R", "a+rX", base], check=True)

    def run(rung: str, script: str, settings: Sequence[str]) -> list[object]:
        root = Path(tempfile.mkdtemp(dir=base))
        os.chown(root, 65534, 65534)
        drop = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        argv = [*drop, PYTHON, str(base / RUNNER.name), rung, str(root), script, *settings]
        env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(base), "PYTHONDONTWRITEBYTECODE": "1", "FB_CANARY": "canary-5152"}
        ended = subprocess.run(argv, env=env, cwd="/", capture_output=True, text=True, timeout=60)
        if "SandboxError" in ended.stderr:
            pytest.skip(f"{rung} cannot be had as an ordinary user: {ended.stderr.strip().splitlines()[-1]}")
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    yield run
    shutil.rmtree(base)


@pytest.mark.parametrize("rung", ["bwrap", "landlock"])
class TestOrdinaryUser:
    """The same promises where the kernel's control groups are not to be had."""

    def test_fork_bomb(self, as_user: Callable[..., list[object]], rung: str, marker: str) -> None:
        code, limit, seconds, _ = as_user(rung, f"# {marker}{BOMB}", ["processes=40", "seconds=15"])
        assert (code, limit) == (None, "processes")
        assert isinstance(seconds, float)
        assert seconds < 5
        assert having(marker) == []

    @pytest.mark.parametrize("script", [MEMORY, MEMORY_OF_CHILDREN], ids=["one", "children"])
    def test_memory(self, as_user: Callable[..., list[object]], rung: str, marker: str, script: str) -> None:
        code, limit, _, _ = as_user(rung, f"# {marker}\n{script}", [f"memory={300 * MiB}", "seconds=15"])
        assert (code, limit) == (None, "memory")
        assert having(marker) == []

    def test_shared_memory_is_counted_once(self, as_user: Callable[..., list[object]], rung: str) -> None:
        script = "import os, time\nheld = b'x' * 100_000_000\n"
        script += "for _ in range(6):\n    if os.fork() == 0: time.sleep(0.5); os._exit(0)\nfor _ in range(6): os.wait()\nprint('end')"
        assert as_user(rung, script, [f"memory={300 * MiB}", "seconds=15"])[1:4:2] == [None, "end\n"]

    def test_daemon_secret_and_limit(self, as_user: Callable[..., list[object]], rung: str, marker: str) -> None:
        script = (
            f"import glob, os, subprocess\nsubprocess.Popen(['setsid', 'sleep', '{marker}'])\n"
            "def read(path):\n    try: return open(path, 'rb').read()\n    except OSError: return b''\n"
            "print(any(b'canary-' + b'5152' in read(p) for p in glob.glob('/proc/*/environ')), flush=True)\nwhile True: pass"
        )
        code, limit, _, text = as_user(rung, script, ["seconds=1"])
        assert (code, limit, text) == (None, "time", "False\n")
        assert having(marker) == []
