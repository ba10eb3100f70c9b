"""A SubjectCipher in memory: real encryption, a key a subject, and a way to delete one."""

from __future__ import annotations

from cryptography.fernet import Fernet, InvalidToken


class MemoryCipher:
    """Keeps its keys in a dictionary."""

    def __init__(self) -> None:
        self._keys: dict[tuple[str, str], bytes | None] = {}

    def encrypt(self, tenant: str, subject: str, plain: bytes) -> bytes:
        """Under the subject's key, made on first use."""
        key = self._keys.get((tenant, subject)) or Fernet.generate_key()
        self._keys[tenant, subject] = key
        return Fernet(key).encrypt(plain)

    def decrypt(self, tenant: str, subject: str, sealed: bytes) -> bytes | None:
        """None when the key was deleted. Raises ValueError when the bytes are another's or altered."""
        key = self._keys.get((tenant, subject))
        if key is None:
            return None
        try:
            return Fernet(key).decrypt(sealed)
        except InvalidToken as error:
            raise ValueError("altered") from error

    def erase(self, tenant: str, subject: str) -> None:
        """Delete the subject's key."""
        self._keys[tenant, subject] = None
