"""libnftables in this process, by ctypes.

The library and not the program: it is the same parser and the same transaction, but there is no
process to start in each namespace, and what it says no with comes as a text that belongs to the
call. A context speaks to the network namespace in which it was made.

Source: libnftables(3), libnftables-json(5).
"""

from __future__ import annotations

import ctypes
import json
from functools import cache
from typing import Any, Final

from linkspan.errors import Missing, Refusal

_LIBRARY: Final = "libnftables.so.1"
_OUTPUT_JSON: Final = 1 << 4
"""NFT_CTX_OUTPUT_JSON: commands are read as JSON, too (include/nftables/libnftables.h)."""
_OUTPUT_TERSE: Final = 1 << 11
"""NFT_CTX_OUTPUT_TERSE: what is in sets is left out."""


@cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError as error:
        raise Missing(
            f"networks with `forward` need libnftables: {error}\n"
            "  next: install it (Debian: apt-get install libnftables1)"
        ) from None
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_ctx_new.argtypes = [ctypes.c_uint32]
    library.nft_ctx_free.argtypes = [ctypes.c_void_p]
    library.nft_ctx_output_set_flags.argtypes = [ctypes.c_void_p, ctypes.c_uint]
    library.nft_ctx_buffer_error.argtypes = [ctypes.c_void_p]
    library.nft_ctx_buffer_output.argtypes = [ctypes.c_void_p]
    library.nft_ctx_get_error_buffer.argtypes = [ctypes.c_void_p]
    library.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
    library.nft_ctx_get_output_buffer.argtypes = [ctypes.c_void_p]
    library.nft_ctx_get_output_buffer.restype = ctypes.c_char_p
    library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    return library


def require_nftables() -> None:
    """Raise Missing, naming the package, when there is no libnftables."""
    _library()


def list_ruleset() -> list[dict[str, Any]]:
    """All rules in the network namespace of the calling thread. Raises Refusal or Missing."""
    listed: list[dict[str, Any]] = run_commands({"nftables": [{"list": {"ruleset": None}}]})
    return listed


def run_commands(commands: dict[str, Any]) -> Any:
    """Carry out commands in the network namespace of the calling thread, all or none; returns what
    was listed.

    Raises Refusal with libnftables's words, or Missing.
    """
    library = _library()
    context = library.nft_ctx_new(0)
    if not context:
        raise Refusal("libnftables has no memory for a context")
    try:
        library.nft_ctx_output_set_flags(context, _OUTPUT_JSON | _OUTPUT_TERSE)
        library.nft_ctx_buffer_error(context)
        library.nft_ctx_buffer_output(context)
        if library.nft_run_cmd_from_buffer(context, json.dumps(commands).encode()):
            said = library.nft_ctx_get_error_buffer(context).decode(errors="replace").strip()
            raise Refusal(f"nftables refuses the rules: {said}")
        listed = library.nft_ctx_get_output_buffer(context)
        return json.loads(listed)["nftables"] if listed else []
    finally:
        library.nft_ctx_free(context)
