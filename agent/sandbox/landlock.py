"""The rung for machines where no namespaces can be had (most containers): Landlock, seccomp and rlimits, with no package to install.

Landlock of Linux 6.2 (ABI 3) is the least: older ones let files outside be cut short. That of 6.12 (ABI 6) also keeps signals from
processes outside; ``gaps`` says what is missing before. What it does not cover is left to ``seccomp.program(strict=True)``; so in this
rung a test cannot use sockets (loopback neither), change modes or times of files, or use ``multiprocessing`` locks (/dev/shm is shared
with the host); ``/proc/self`` is closed too. It cannot hide that a file exists, how long and how old it is, and it cannot bound the sum
of what is written, only each file. Reference: Linux ``Documentation/userspace-api/landlock.rst``.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

from fixbot.agent.errors import SandboxError
from fixbot.agent.sandbox import process, seccomp
from fixbot.agent.sandbox.base import Command, Outcome
from fixbot.agent.sandbox.direct import check_in_place, make_scratch

_LEAST_ABI = 3
_READABLE = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime",
    "/etc/passwd", "/etc/group", "/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/mime.types", "/etc/services",
    "/etc/protocols", "/etc/os-release", "/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/pki/tls/certs",
    "/etc/pki/ca-trust/extracted", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/uptime", "/proc/version",
    "/proc/filesystems", "/proc/sys", "/sys/devices/system/cpu", "/dev/random", "/dev/urandom",
)  # fmt: skip
_WRITABLE = ("/dev/null", "/dev/zero", "/dev/full")


@dataclass(frozen=True, slots=True)
class Landlock:
    """Runs commands under Landlock, in place. ``abi``: use no more than this version of it has, though the kernel may have more."""

    abi: int | None = None

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
        abi, code = self._abi(), _filter()
        scratch = make_scratch()
        launch = process.Launch(
            argv=command.argv,
            env=process.environment(command, scratch / "home", scratch / "tmp"),
            directory=command.root / command.cwd,
            landlock=(
                [*_WRITABLE, str(command.root), str(scratch)],
                [*_READABLE, *(str(host) for host, _ in command.readable)],
                rights(abi),
            ),
            seccomp=code,
            scratch=scratch,
        )
        return process.run(launch, command.limits, command.on_event)

    def gaps(self) -> tuple[str, ...]:
        """What this rung does not keep from happening on this kernel, though newer ones would. Raises SandboxError."""
        return gaps(self._abi())

    def _abi(self) -> int:
        """The version to use. Raises SandboxError where there is none, or one that lets files outside be changed."""
        found = ctypes.CDLL(None, use_errno=True).syscall(444, None, ctypes.c_size_t(0), 1)
        if found < 0:
            raise SandboxError(
                "the kernel offers no Landlock",
                "Boot with lsm=landlock,... (kernel 6.2 or newer), or allow it in the container's seccomp profile, or install bubblewrap.",
            )
        abi = found if self.abi is None else min(found, self.abi)
        if abi < _LEAST_ABI:
            raise SandboxError(
                f"Landlock ABI {abi} is too old, {_LEAST_ABI} is needed: before it, files outside can be cut short",
                "Use Linux 6.2 or newer, or install bubblewrap.",
            )
        return abi


def rights(abi: int) -> tuple[int, int, int]:
    """What Landlock of this ABI can take away: LANDLOCK_ACCESS_FS_*, LANDLOCK_ACCESS_NET_* and LANDLOCK_SCOPE_* as bit masks.

    ABI 2 adds REFER, 3 TRUNCATE, 4 TCP, 5 IOCTL_DEV, 6 the scopes (abstract sockets, signals).
    """
    files = 13 + sum(abi >= version for version in (2, 3, 5))
    return (1 << files) - 1, 3 if abi >= 4 else 0, 3 if abi >= 6 else 0


def gaps(abi: int) -> tuple[str, ...]:
    """What is missing before ABI 6. TCP (ABI 4) and abstract sockets are closed by the system call filter all the same."""
    if abi >= 6:
        return ()
    return (
        f"Landlock ABI {abi} of this kernel does not keep tests from sending signals to your other processes (ABI 6, Linux 6.12, does)",
    )


def _filter() -> bytes:
    """The system call filter. Raises SandboxError if there is none for this processor."""
    code = seccomp.program(strict=True)
    if not code:
        raise SandboxError("no system call filter for this processor", "Install bubblewrap.")
    return code
