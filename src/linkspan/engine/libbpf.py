"""The few calls of libbpf that linkspan needs, through ctypes.

libbpf is there wherever iproute2 is. Only calls are used that versions 0.3 to 1.x have alike
(libbpf.h, bpf.h); a refusal comes back as OSError, with the verifier's last words when a program
is refused.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import resource
import struct
from ctypes import c_char_p, c_int, c_size_t, c_uint64, c_void_p
from functools import cache
from pathlib import Path
from typing import Final

_NAMES: Final = ("libbpf.so.1", "libbpf.so.0")
_MEMBARRIER_CMD_GLOBAL = 1
_SYS_MEMBARRIER: Final = {"x86_64": 324, "aarch64": 283, "riscv64": 283, "ppc64le": 365}

_SYS_BPF: Final = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "ppc64le": 361}
_BPF_PROG_LOAD, _BPF_PROG_TYPE_SCHED_CLS, _BPF_FUNC_REDIRECT = 5, 3, 23

_FIRST_ERROR_POINTER: Final = (1 << 8 * ctypes.sizeof(c_void_p)) - 4096
"""From here on versions before 1.0 return an error number instead of a pointer."""

_PRINT = ctypes.CFUNCTYPE(c_int, c_int, c_char_p, c_void_p)
_LONGEST_PRINT = 1 << 16
_VERIFIER_LOG, _AFTER_VERIFIER_LOG = "-- BEGIN PROG LOAD LOG --", "-- END PROG LOAD LOG --"
_FIGURES: Final = ("processed ", "verification time ", "stack depth ")
"""What the verifier says behind the line that tells why it refuses a program."""

_printed: list[str] = []
"""What libbpf has printed since an object was last opened."""


def _keep(_level: int, pattern: bytes, arguments: int | None) -> int:
    # A va_list is passed on as it came, which is a pointer on every architecture named here.
    text = ctypes.create_string_buffer(_LONGEST_PRINT)
    ctypes.CDLL(None).vsnprintf(text, c_size_t(len(text)), pattern, c_void_p(arguments))
    _printed.append(text.value.decode(errors="replace"))
    return 0


_print = _PRINT(_keep)
"""libbpf does not hold a reference, so there has to be one here."""


def last_words(log: str) -> str:
    """Why the verifier refused a program: the last line of its log that is about the program; ""
    when there is no log, because the kernel refused before it looked."""
    _, _, log = log.partition(_VERIFIER_LOG)
    lines = [line.strip() for line in log.partition(_AFTER_VERIFIER_LOG)[0].splitlines()]
    said = [line for line in lines if line and not line.startswith(_FIGURES)]
    return said[-1] if said else ""


class BpfMissing(OSError):
    """libbpf is not on this machine."""


@cache
def _library() -> ctypes.CDLL:
    for name in _NAMES:
        try:
            library = ctypes.CDLL(name, use_errno=True)
        except OSError:
            continue
        pointer, size = c_void_p, c_size_t
        for function, result, arguments in (
            ("bpf_object__open_mem", pointer, [c_char_p, size, pointer]),
            ("bpf_object__load", c_int, [pointer]),
            ("bpf_object__close", None, [pointer]),
            ("bpf_object__find_map_fd_by_name", c_int, [pointer, c_char_p]),
            ("bpf_object__find_program_by_name", pointer, [pointer, c_char_p]),
            ("bpf_program__fd", c_int, [pointer]),
            ("bpf_map_update_elem", c_int, [c_int, pointer, pointer, c_uint64]),
            ("bpf_map_delete_elem", c_int, [c_int, pointer]),
            ("bpf_map_lookup_elem", c_int, [c_int, pointer, pointer]),
            ("bpf_map_get_next_key", c_int, [c_int, pointer, pointer]),
        ):
            found = getattr(library, function)
            found.restype, found.argtypes = result, arguments
        library.libbpf_set_print(_print)
        return library
    raise BpfMissing(errno.ENOENT, "libbpf is not installed (package libbpf1)")


def _check(result: int, what: str) -> int:
    """libbpf 1.x returns -errno, 0.x returns -1 and sets errno."""
    if result < 0:
        number = ctypes.get_errno() if result == -1 else -result
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


class BpfObject:
    """A loaded object file; its descriptors live until `close`, duplicates of them longer."""

    def __init__(self, file: Path) -> None:
        """Load maps and programs. Raises OSError when the kernel refuses or libbpf is missing."""
        library = _library()
        # Kernels before 5.11 charge maps to the limit of locked memory.
        _, most = resource.getrlimit(resource.RLIMIT_MEMLOCK)
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (most, most))
        _printed.clear()
        data = file.read_bytes()
        self._object = library.bpf_object__open_mem(data, len(data), None)
        if not self._object or self._object > _FIRST_ERROR_POINTER:
            raise OSError(errno.EINVAL, f"{file.name} is not an object that libbpf can read")
        try:
            _check(library.bpf_object__load(self._object), f"loading {file.name}")
        except OSError as error:
            self.close()
            words = last_words("".join(_printed))
            raise OSError(error.errno, f"{error.strerror}{words and f' ({words})'}") from None

    def close(self) -> None:
        """Let go of the object and its descriptors."""
        _library().bpf_object__close(self._object)

    def map(self, name: str) -> int:
        """A new descriptor of a map, which the caller owns. Raises OSError."""
        found = _library().bpf_object__find_map_fd_by_name(self._object, name.encode())
        return os.dup(_check(found, f"map {name}"))

    def program(self, name: str) -> int:
        """A new descriptor of a program, which the caller owns. Raises OSError."""
        library = _library()
        found = library.bpf_object__find_program_by_name(self._object, name.encode())
        return os.dup(_check(library.bpf_program__fd(found), f"program {name}"))


class BpfMap:
    """A map by its descriptor; keys and values are bytes of the map's sizes."""

    def __init__(self, descriptor: int, key_bytes: int, value_bytes: int) -> None:
        self.descriptor = descriptor
        self._library = _library()
        self._key = ctypes.create_string_buffer(key_bytes)
        self._value = ctypes.create_string_buffer(value_bytes)

    def put(self, key: bytes, value: bytes) -> None:
        """Set an element. Raises OSError, E2BIG when a hash map is full."""
        result = self._library.bpf_map_update_elem(self.descriptor, key, value, 0)
        _check(result, "writing to a map")

    def remove(self, key: bytes) -> bool:
        """Delete an element; returns whether there was one."""
        return bool(self._library.bpf_map_delete_elem(self.descriptor, key) == 0)

    def items(self) -> list[tuple[bytes, bytes]]:
        """All elements."""
        found: list[tuple[bytes, bytes]] = []
        key = None
        while self._library.bpf_map_get_next_key(self.descriptor, key, self._key) == 0:
            key = self._key.raw
            if self._library.bpf_map_lookup_elem(self.descriptor, key, self._value) == 0:
                found.append((key, self._value.raw))
        return found


def map_memory(descriptor: int, size: int) -> mmap.mmap:
    """The memory of an array map that was made with BPF_F_MMAPABLE (Linux 5.5). Raises OSError."""
    page = mmap.PAGESIZE
    return mmap.mmap(descriptor, (size + page - 1) // page * page)


def wait_for_running_programs() -> None:
    """Return when every program that runs now has ended, which then sees what was written before.

    membarrier(2) with MEMBARRIER_CMD_GLOBAL waits for a grace period of RCU, under which tc
    programs run; some ten milliseconds.
    """
    number = _SYS_MEMBARRIER.get(os.uname().machine)
    if number is not None:
        ctypes.CDLL(None).syscall(number, _MEMBARRIER_CMD_GLOBAL, 0, 0)


def load_redirect(index: int) -> int:
    """A tc program that sends every frame out by the interface of that number, of the namespace
    in which it runs; returns its descriptor. Raises OSError.

    Four instructions: r1 = index, r2 = 0, bpf_redirect, return what that returned (bpf(2),
    Documentation/bpf/standardization/instruction-set.rst).
    """
    rows = ((0xB7, 1, index), (0xB7, 2, 0), (0x85, 0, _BPF_FUNC_REDIRECT), (0x95, 0, 0))
    code = b"".join(
        struct.pack("=BBhi", kind, register, 0, value) for kind, register, value in rows
    )
    instructions = ctypes.create_string_buffer(code)
    licence = ctypes.create_string_buffer(b"GPL")
    attributes = ctypes.create_string_buffer(
        struct.pack(
            "=IIQQIIQII",
            _BPF_PROG_TYPE_SCHED_CLS,
            len(rows),
            ctypes.addressof(instructions),
            ctypes.addressof(licence),
            *(0, 0, 0, 0, 0),
        )
    )
    number = _SYS_BPF.get(os.uname().machine)
    if number is None:
        raise OSError(errno.ENOSYS, f"the number of bpf(2) on {os.uname().machine} is not known")
    call = ctypes.CDLL(None, use_errno=True).syscall
    descriptor = call(number, _BPF_PROG_LOAD, attributes, len(attributes) - 1)
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "the kernel takes no program that redirects frames")
    os.set_inheritable(descriptor, False)
    return int(descriptor)
