"""Signatures (Ed25519) and authenticated encryption (AES-256-GCM): the one module that imports `cryptography`."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final

KEY_BYTES: Final = 32  # of an Ed25519 seed and of an AES-256 key
_NONCE_BYTES: Final = 12  # random: good for 2**32 messages a key (NIST SP 800-38D, 8.3)


def new_key() -> bytes:
    """Random bytes, fit for an Ed25519 seed or an AES-256 key."""
    return secrets.token_bytes(KEY_BYTES)


def public_key(seed: bytes) -> bytes:
    """The 32-byte public key of an Ed25519 seed."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def signer(seed: bytes) -> Callable[[bytes], bytes]:
    """What makes the 64-byte Ed25519 signature (RFC 8032) of a message."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(seed).sign


def sign(seed: bytes, message: bytes) -> bytes:
    """One signature."""
    return signer(seed)(message)


def is_signed(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the holder of the public key signed the message."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def seal(key: bytes, plain: bytes, context: bytes) -> bytes:
    """Nonce and ciphertext of AES-256-GCM, bound to a context that must be given again to open it."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, context)


def unseal(key: bytes, sealed: bytes, context: bytes) -> bytes:
    """The plain bytes. Raises ValueError when key, context or bytes are not those of `seal`."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context)
    except (InvalidTag, ValueError) as error:
        raise ValueError("The sealed bytes were altered, or belong to another key or place.") from error
