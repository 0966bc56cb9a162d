"""tflite: the .tflite of a pair, which a seal of SHA-256 ties to exactly that pair."""

import hashlib
import json
import os
import tempfile
from pathlib import Path

from malaria.base.errors import UserError
from malaria.base.files import hash_file, whole_file
from malaria.saved.metadata import KEY
from malaria.saved.pair import Architecture, Pair

# A .tflite ends in this mark, the digest of its pair and the digest of what stands before.
# LiteRT passes over what follows its own data.
MARK = b"malaria1"
SEAL_BYTES = len(MARK) + 2 * 32


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
        temporary.write_bytes(content + MARK + digest + hashlib.sha256(content).digest())


def find_sealed(pair: Pair, digest: bytes) -> Path | None:
    """The path of a whole .tflite of exactly this pair, beside it or in the cache, or None."""
    if _is_sealed(pair.tflite, digest):
        return pair.tflite
    cached = cache_path(digest)
    return cached if _is_sealed(cached, digest) else None


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
    try:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:  # a user without a home
        home = tempfile.gettempdir()
    return Path(home) / "malaria" / f"{digest.hex()}.tflite"


def _is_sealed(path: Path, digest: bytes) -> bool:
    try:
        if not path.is_file():
            return False
        with open(path, "rb") as file:
            body = hash_file(file, path.stat().st_size - SEAL_BYTES)
            return file.read() == MARK + digest + body
    except OSError:
        return False
