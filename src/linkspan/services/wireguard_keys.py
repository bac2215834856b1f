"""Keys of WireGuard: made, read, and kept in the lab's folder for their owner alone (0600).

A file there is named after the public key, so whoever knows that from a fact finds the private one,
also when a change is taken back. A private key is never part of a fact, a plan, an answer or a
message. X25519 is `cryptography`'s (RFC 7748).
"""

from __future__ import annotations

import os
from base64 import b64decode, b64encode, urlsafe_b64encode
from pathlib import Path

from linkspan.errors import Fault, Mistake
from linkspan.model.flaw import label
from linkspan.model.unfit import UnfitError
from linkspan.model.wireguard_shapes import key

FOLDER = "keys"
_PRIVATE = "privatekey"


def generate() -> str:
    """A new private key, in base64."""
    # Loading it takes a tenth of what a command takes, and few labs have keys.
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    return b64encode(X25519PrivateKey.generate().private_bytes_raw()).decode()


def public_of(private: str) -> str:
    """The public key that belongs to a private one."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    secret = X25519PrivateKey.from_private_bytes(b64decode(private))
    return b64encode(secret.public_key().public_bytes_raw()).decode()


def read_private(file: Path, link: int) -> str:
    """The private key in a file: the key alone, or a wg-quick configuration that has it; `link` is
    the place among the links of the one that names it. Raises Mistake, which does not show what the
    file holds.
    """
    whose, path = label(("links", link)), ("links", link, "private-key-file")
    try:
        text = file.read_text()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise Mistake(
            Fault(
                f"{whose}: the private key can't be read",
                expected="a file that `wg genkey` wrote",
                found=f"{file}: {why}",
                next_step="correct private-key-file, or leave it out: a key is made then",
                path=path,
            )
        ) from None
    if "[interface]" in text.lower() and _PRIVATE not in text.lower():
        raise Mistake(
            Fault(
                f"{whose}: {file} has no PrivateKey",
                expected="PrivateKey = …, or PostUp = wg set %i private-key FILE",
                next_step="write one of the two under [Interface]",
                path=path,
            )
        )
    for line in text.splitlines():
        name, sign, value = line.partition("=")
        if sign and name.strip().lower() == _PRIVATE:
            text = value
            break
    try:
        return key(text.strip())
    except UnfitError as unfit:
        raise Mistake(
            Fault(
                f"{whose}: {file} {unfit.what}",
                expected="44 characters such as `wg genkey` writes",
                next_step=f"write a key there: wg genkey > {file}",
                path=path,
            )
        ) from None


def file_of(folder: Path, public: str) -> Path:
    """Where the private key that belongs to a public one is kept, in a lab's folder."""
    return folder / FOLDER / urlsafe_b64encode(b64decode(public)).decode()


def keep(folder: Path, private: str) -> None:
    """Keep a private key in a lab's folder. Raises OSError."""
    file = file_of(folder, public_of(private))
    file.parent.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w") as kept:
        kept.write(private)


def kept(folder: Path, public: str) -> str | None:
    """The private key that belongs to a public one, if the lab's folder has it."""
    try:
        return file_of(folder, public).read_text()
    except (OSError, ValueError):
        return None
