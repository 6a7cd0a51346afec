"""Runs a command without IPv6: a seccomp filter makes the kernel refuse every IPv6 socket."""
import ctypes
import os
import platform
import struct
import sys

SOCKET = {'x86_64': 41, 'aarch64': 198}[platform.machine()]
AF_INET6 = 10
EAFNOSUPPORT = 97

LOAD, IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050000
# Offsets in struct seccomp_data: the system call number, and the lower half of the first argument.
NUMBER, FIRST = 0, 16

PROGRAM = b''.join(
    struct.pack('HBBI', *instruction)
    for instruction in (
        (LOAD, 0, 0, NUMBER),
        (IF_EQUAL, 0, 3, SOCKET),
        (LOAD, 0, 0, FIRST),
        (IF_EQUAL, 0, 1, AF_INET6),
        (RETURN, 0, 0, REFUSE | EAFNOSUPPORT),
        (RETURN, 0, 0, ALLOW),
    )
)

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, FILTER = 38, 22, 2

libc = ctypes.CDLL(None, use_errno=True)
program = ctypes.create_string_buffer(PROGRAM)
filters = ctypes.create_string_buffer(struct.pack('HxxxxxxP', len(PROGRAM) // 8, ctypes.addressof(program)))
if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, FILTER, filters, 0, 0):
    sys.exit(os.strerror(ctypes.get_errno()))
os.execvp(sys.argv[1], sys.argv[1:])
