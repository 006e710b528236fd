"""The rung for machines where no namespaces can be had (most containers): Landlock, seccomp and rlimits, with no package to install.

Landlock of Linux 6.12 (ABI 6) is the least: it keeps signals from processes outside, and older ones let files be cut short. What it does
not cover is left to ``seccomp.program(strict=True)``; so in this rung a test cannot use sockets (loopback neither), change modes or
times of files, or use ``multiprocessing`` locks (/dev/shm is shared with the host); ``/proc/self`` is closed too. It cannot hide that a
file exists, how long and how old it is, and it cannot bound the sum of what is written, only each file.
"""

from __future__ import annotations

import ctypes

from fixbot.agent.errors import SandboxError
from fixbot.agent.sandbox import process, seccomp
from fixbot.agent.sandbox.base import Command, Outcome
from fixbot.agent.sandbox.direct import check_in_place, make_scratch

_LEAST_ABI = 6
_READABLE = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime",
    "/etc/passwd", "/etc/group", "/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/mime.types", "/etc/services",
    "/etc/protocols", "/etc/os-release", "/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/pki/tls/certs",
    "/etc/pki/ca-trust/extracted", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/uptime", "/proc/version",
    "/proc/filesystems", "/proc/sys", "/sys/devices/system/cpu", "/dev/random", "/dev/urandom",
)  # fmt: skip
_WRITABLE = ("/dev/null", "/dev/zero", "/dev/full")


class Landlock:
    """Runs commands under Landlock, in place."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """The rung's name."""
        return "landlock"

    @property
    def moves(self) -> bool:
        """It shows every path as it is on the host."""
        return False

    def run(self, command: Command) -> Outcome:
        """Run to the end or to a limit. Raises SandboxError where the kernel has no Landlock, or too old a one."""
        check_in_place(command)
        code = _filter()
        scratch = make_scratch()
        launch = process.Launch(
            argv=command.argv,
            env=process.environment(command, scratch / "home", scratch / "tmp"),
            directory=command.root / command.cwd,
            landlock=([*_WRITABLE, str(command.root), str(scratch)], [*_READABLE, *(str(host) for host, _ in command.readable)]),
            seccomp=code,
            scratch=scratch,
        )
        return process.run(launch, command.limits, command.on_event)


def _filter() -> bytes:
    """The system call filter. Raises SandboxError if this kernel or processor cannot do this rung."""
    abi = ctypes.CDLL(None, use_errno=True).syscall(444, None, ctypes.c_size_t(0), 1)
    if abi < 0:
        raise SandboxError(
            "the kernel offers no Landlock",
            "Boot with lsm=landlock,... (kernel 6.12 or newer), or allow it in the container's seccomp profile, or install bubblewrap.",
        )
    if abi < _LEAST_ABI:
        raise SandboxError(f"Landlock ABI {abi} is too old, {_LEAST_ABI} is needed", "Use Linux 6.12 or newer, or install bubblewrap.")
    code = seccomp.program(strict=True)
    if not code:
        raise SandboxError("no system call filter for this processor", "Install bubblewrap.")
    return code
