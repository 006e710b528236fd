"""The system call filter, as classic BPF for ``prctl(PR_SET_SECCOMP)`` and ``bwrap --seccomp``.

It denies what no test needs and what has let programs out of sandboxes: ptrace, mounts, new namespaces, keyrings, bpf, io_uring, typing
into the terminal. With ``strict`` (the Landlock rung) it also does what namespaces do elsewhere. A filter sees numbers, not the memory
that pointers point to, so strict is coarse:

- all sockets but stream sockets of the Unix kind are denied, loopback too, and so is every ``connect`` (it could reach docker.sock);
- mode, times, owner and extended attributes of *any* file the user owns could be changed, outside the copy too, because Landlock does
  not cover them: changes of mode and times are left undone with success reported, the others are denied;
- System V IPC, message queues, other processes' limits and signals to everybody are denied.

Numbers: Linux ``arch/x86/entry/syscalls/syscall_64.tbl`` and ``include/uapi/asm-generic/unistd.h`` (aarch64, riscv64).
"""

from __future__ import annotations

import errno
import platform
import struct
from collections.abc import Mapping

# AUDIT_ARCH_*, from include/uapi/linux/audit.h
_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7, "riscv64": 0xC00000F3}

# name -> (x86_64, generic); None where the architecture has no such call
_DENIED: dict[str, tuple[int | None, int | None]] = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272), "pidfd_getfd": (438, 438),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97), "setns": (308, 268),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432),
    "fspick": (433, 433), "mount_setattr": (442, 442), "open_tree_attr": (467, 467), "quotactl": (179, 60), "quotactl_fd": (443, 443),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "fanotify_init": (300, 262),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219), "bpf": (321, 280), "perf_event_open": (298, 241),
    "userfaultfd": (323, 282), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "syslog": (103, 116),
}  # fmt: skip
_DENIED_STRICT: dict[str, tuple[int | None, int | None]] = {
    "connect": (42, 203), "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195), "semget": (64, 190), "semctl": (66, 191),
    "msgget": (68, 186), "msgctl": (71, 187), "msgsnd": (69, 189), "msgrcv": (70, 188), "mq_open": (240, 180), "mq_unlink": (241, 181),
    "chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54), "setxattr": (188, 5), "lsetxattr": (189, 6),
    "fsetxattr": (190, 7), "setxattrat": (463, 463), "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    "removexattrat": (466, 466), "file_setattr": (469, 469),
}  # fmt: skip
_IGNORED_STRICT: dict[str, tuple[int | None, int | None]] = {
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452), "utime": (132, None), "utimes": (235, None),
    "futimesat": (261, None), "utimensat": (280, 88),
}  # fmt: skip

_SOCKET, _SOCKETPAIR, _IOCTL, _CLONE, _CLONE3, _PRLIMIT = (41, 198), (53, 199), (16, 29), (56, 220), (435, 435), (302, 261)
_KILL, _EVERYBODY = (62, 129), 0xFFFFFFFF
_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK, _SOCK_DGRAM, _SOCK_MASK = 1, 2, 10, 16, 2, 0xF
_NEW_NAMESPACES = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
_TERMINAL_INPUT = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX
_FILE_FLAGS = (0x40086602, 0x401C5820)  # FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR
_X32 = 0x40000000

_LOAD, _AND, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data; arguments are 64 bits, the low half first

Instruction = tuple[int, int, int, int]


def program(*, strict: bool, machine: str | None = None) -> bytes:
    """The filter for this machine (or the named one), ``b""`` for an architecture that is not covered."""
    machine = machine or platform.machine()
    if machine not in _ARCHITECTURES:
        return b""
    column = 0 if machine == "x86_64" else 1
    code = [(_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, _ARCHITECTURES[machine]), _fail(errno.EPERM), (_LOAD, 0, 0, _NUMBER)]
    if machine == "x86_64":
        code += [(_AT_LEAST, 0, 1, _X32), _fail(errno.ENOSYS)]
    code += _refuse(_DENIED, column, errno.EPERM)
    code += [(_EQUAL, 0, 1, _CLONE3[column]), _fail(errno.ENOSYS)]  # its flags are in memory; libc falls back to clone
    code += _when(_CLONE[column], 0, [(_ANY_BIT, 0, 1, _NEW_NAMESPACES), _fail(errno.EPERM)])
    code += _when(_IOCTL[column], 1, _one_of((*_TERMINAL_INPUT, *_FILE_FLAGS) if strict else _TERMINAL_INPUT))
    families = (_AF_UNIX,) if strict else (_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK)
    code += _when(_SOCKET[column], 0, _none_of(families))
    if strict:
        code += _refuse(_DENIED_STRICT, column, errno.EPERM) + _refuse(_IGNORED_STRICT, column, 0)
        datagram = [(_AND, 0, 0, _SOCK_MASK), *_one_of((_SOCK_DGRAM,))]
        code += _when(_SOCKET[column], 1, datagram) + _when(_SOCKETPAIR[column], 1, datagram)
        code += _when(_PRLIMIT[column], 0, _none_of((0,)))
        code += _when(_KILL[column], 0, _one_of((_EVERYBODY,)))  # Landlock before ABI 6 lets signals out
    code.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("HBBI", *instruction) for instruction in code)


def _fail(number: int) -> Instruction:
    return (_RETURN, 0, 0, _ERROR | number)


def _refuse(calls: Mapping[str, tuple[int | None, int | None]], column: int, number: int) -> list[Instruction]:
    """Return ``number`` as errno for these calls (0 means: do nothing and report success)."""
    return [step for call in calls.values() if (value := call[column]) is not None for step in ((_EQUAL, 0, 1, value), _fail(number))]


def _when(call: int, argument: int, test: list[Instruction]) -> list[Instruction]:
    """For one system call, run ``test`` on the low half of an argument, then go on with the call's number loaded."""
    body = [(_LOAD, 0, 0, _ARGUMENTS + 8 * argument), *test, (_LOAD, 0, 0, _NUMBER)]
    return [(_EQUAL, 0, len(body), call), *body]


def _one_of(values: tuple[int, ...]) -> list[Instruction]:
    return [step for value in values for step in ((_EQUAL, 0, 1, value), _fail(errno.EPERM))]


def _none_of(values: tuple[int, ...]) -> list[Instruction]:
    return [*((_EQUAL, len(values) - index, 0, value) for index, value in enumerate(values)), _fail(errno.EPERM)]
