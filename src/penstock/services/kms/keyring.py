"""The keyring: what is encrypted, decrypted and generated with a key.

Every method raises DISABLED, PENDING_DELETION or UNAVAILABLE for a key that cannot be used.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from penstock.core.kms_errors import KmsError
from penstock.core.ports import Entropy
from penstock.services.kms.keys import Keys
from penstock.services.kms.state import Key, Place
from penstock.services.kms.vault import NONCE_BYTES, open_sealed, seal, take_apart

DATA_KEY_BYTES: Final = {"AES_256": 32, "AES_128": 16}


class DataKey(NamedTuple):
    """A data key: what encrypts, and what is kept of it."""

    plaintext: bytes
    blob: bytes


class Keyring:
    """Uses keys."""

    def __init__(self, keys: Keys, entropy: Entropy) -> None:
        self._keys = keys
        self._entropy = entropy

    def encrypt(self, key: Key, plaintext: bytes, context: Mapping[str, str]) -> bytes:
        """A ciphertext, under the newest material of a key.  Cost: 10 us."""
        self._keys.check_usable(key)
        material = key.materials[-1]
        opened = self._keys.opened(key, material)
        assert opened is not None, "a usable key has material"
        return seal(opened, key.id, material.no, plaintext, context, self._entropy.bytes(NONCE_BYTES))

    def generate(self, key: Key, size_bytes: int, context: Mapping[str, str]) -> DataKey:
        """A new data key, encrypted under a key."""
        self._keys.check_usable(key)
        plaintext = self._entropy.bytes(size_bytes)
        return DataKey(plaintext, self.encrypt(key, plaintext, context))

    def owner(self, place: Place, blob: bytes) -> Key:
        """The key that a ciphertext was made with.  Raises CIPHERTEXT, and FOREIGN_CIPHERTEXT for one of another region."""
        ciphertext = take_apart(blob)
        held = None if ciphertext is None else self._keys.find_id(ciphertext.key_id)
        if held is None:
            raise KmsError.CIPHERTEXT()
        if held.record.region != place.region:
            raise KmsError.FOREIGN_CIPHERTEXT()
        return held.record

    def decrypt(self, key: Key, blob: bytes, context: Mapping[str, str]) -> bytes:
        """The plaintext of a ciphertext that was made with a key.  Raises CIPHERTEXT.  Cost: 10 us."""
        self._keys.check_usable(key)
        ciphertext = take_apart(blob)
        if ciphertext is None or ciphertext.key_id != key.id:
            raise KmsError.CIPHERTEXT()
        material = next((each for each in key.materials if each.no == ciphertext.material_no), None)
        opened = None if material is None else self._keys.opened(key, material)
        plaintext = None if opened is None else open_sealed(opened, ciphertext, context)
        if plaintext is None:
            raise KmsError.CIPHERTEXT()
        return plaintext
