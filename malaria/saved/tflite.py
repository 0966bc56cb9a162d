"""tflite: the .tflite of a pair, with a seal that only this user can have given to that pair."""

import hashlib
import hmac
import json
from pathlib import Path

from malaria.base.errors import UserError
from malaria.base.files import hash_file, whole_file
from malaria.saved.key import cache_folder, sign
from malaria.saved.metadata import KEY
from malaria.saved.pair import Architecture, Pair

# A .tflite ends in this mark, the digest of its pair, and the signature of that digest and of what
# stands before. LiteRT passes over what follows its own data. A digest without a secret would prove
# nothing: a stranger who sends a pair with the .tflite of another network can compute it too.
MARK = b"malaria2"
SEAL_BYTES = len(MARK) + 2 * 32
# Those of pretrained/, made elsewhere: the digest of the pair, and the SHA-256 of what stands
# before the seal.
SHIPPED = {
    "8eda6ac07557a405d20cea219446c66fb0f79bf84d0cdcb132075af9f2462ebe": (
        "c66d7dfd32c05eb0b5eade4054af37f7eed2c4144a445ae4584a8b176a847c13"
    ),
    "a8e714e0ff83b2a7562c506e2e76e79c4f4d21095b4e0a235ca40ef719294e65": (
        "34e53f0baba7e1ea34bf016838bb52c31efe0a44497b5ba58b41c1d1760e1a7f"
    ),
}


def digest_pair(weights_sha256: str, architecture: Architecture) -> bytes:
    """What a .tflite is sealed with: 32 bytes, of the .h5 and of the network in the .json.

    architecture: the content of the .json, whose metadata does not count.
    """
    network = {key: value for key, value in architecture.items() if key != KEY}
    text = json.dumps(network, sort_keys=True) + weights_sha256
    return hashlib.sha256(text.encode()).digest()


def write_sealed(path: Path, content: bytes, digest: bytes) -> None:
    """Write the bytes of a .tflite, sealed, whole or not at all. Raises UserError."""
    with whole_file(path) as temporary:
        temporary.write_bytes(content + _seal(digest, hashlib.sha256(content).digest()))


def find_sealed(pair: Pair, digest: bytes) -> Path | None:
    """The path of a .tflite that was made here of exactly this pair, or None.

    It lies beside the pair or in the cache. Those of the pretrained pairs count as made here.
    """
    paths = (pair.tflite, cache_path(digest))
    return next((path for path in paths if _is_trusted(path, digest)), None)


def keep_sealed(pair: Pair, content: bytes, digest: bytes) -> Path:
    """Write the .tflite beside its pair, or in the cache if that cannot be; return its path.

    Beside another program's file nothing is written: a .tflite of that name may be its user's.
    """
    if pair.kind != "pair":
        write_sealed(cache_path(digest), content, digest)
        return cache_path(digest)
    try:
        write_sealed(pair.tflite, content, digest)
    except UserError:
        write_sealed(cache_path(digest), content, digest)
        return cache_path(digest)
    return pair.tflite


def cache_path(digest: bytes) -> Path:
    """Where the .tflite of a pair in a read-only folder is kept."""
    return cache_folder() / f"{digest.hex()}.tflite"


def _seal(digest: bytes, body: bytes) -> bytes:
    """body: the SHA-256 of the .tflite without its seal."""
    return MARK + digest + sign(MARK + digest + body)


def _is_trusted(path: Path, digest: bytes) -> bool:
    try:
        if not path.is_file():
            return False
        with open(path, "rb") as file:
            body = hash_file(file, path.stat().st_size - SEAL_BYTES)
            seal = file.read()
    except OSError:
        return False
    is_shipped = SHIPPED.get(digest.hex()) == body.hex()
    return is_shipped or hmac.compare_digest(seal, _seal(digest, body))
