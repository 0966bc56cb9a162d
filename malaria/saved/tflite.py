"""tflite: which .tflite may answer for a pair, and what of them this user's cache knows."""

import hashlib
import json
import os
import stat
from contextlib import suppress
from pathlib import Path

from malaria.base.errors import UserError
from malaria.base.files import is_own_link, make_folder, sha256_of, whole_file
from malaria.saved.metadata import KEY, Metadata
from malaria.saved.pair import Architecture, Pair, default_pair

# The names of the outputs of one with features: the network's own, and what its guard looks at.
OUTPUT, FEATURES = "probability", "features"


def digest_pair(weights_sha256: str, architecture: Architecture, *, features: bool = False) -> str:
    """The hexadecimal digits by which the cache knows a network, whatever its metadata.

    features: whether its .tflite has them as a second output.
    """
    network = {key: value for key, value in architecture.items() if key != KEY}
    text = json.dumps(network, sort_keys=True) + weights_sha256 + FEATURES * features
    return hashlib.sha256(text.encode()).hexdigest()


def belongs(pair: Pair, metadata: Metadata) -> bool:
    """True if the .tflite beside the pair is the one that its .json names by SHA-256."""
    recorded = metadata.details.get("tflite_sha256")
    return recorded is not None and sha256_of(pair.tflite) == recorded


def is_pretrained(pair: Pair) -> bool:
    """True if the .tflite comes with the program, so that it needs no trial."""
    return pair.tflite.resolve().parent == default_pair().resolve().parent


def cache_folder() -> Path:
    """This user's folder for what makes the next start quick. Raises UserError without a home."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "malaria"
    except RuntimeError:
        raise UserError("there is no home folder to keep a .tflite in") from None


def is_tried(sha256: str) -> bool:
    """True if a .tflite of this SHA-256 has answered a trial of this user's."""
    with suppress(UserError):
        return _is_ours(_mark(sha256))
    return False


def note_tried(sha256: str) -> None:
    """Remember that a .tflite may be believed; where that cannot be, it is tried again."""
    with suppress(OSError, UserError):
        _make_folders()
        # Exclusive, so that no link is followed.
        os.close(os.open(_mark(sha256), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def find_kept(digest: str) -> Path | None:
    """The path of the .tflite that this program made for the pair of this digest, or None."""
    with suppress(UserError):
        path = cache_folder() / f"{digest}.tflite"
        if _is_ours(path) and is_tried(sha256_of(path)):
            return path
    return None


def keep(content: bytes, digest: str) -> Path:
    """Write the .tflite that was made of a pair into the cache; its path. Raises UserError."""
    path = cache_folder() / f"{digest}.tflite"
    _make_folders()
    with whole_file(path) as temporary:
        temporary.write_bytes(content)
    note_tried(hashlib.sha256(content).hexdigest())
    return path


def _make_folders() -> None:
    """Make the cache, which may be a link of the user's own. Raises UserError for another's."""
    cache = cache_folder()
    make_folder(cache / "tried", cache if is_own_link(cache) else cache.parent)


def _mark(sha256: str) -> Path:
    return cache_folder() / "tried" / sha256


def _is_ours(path: Path) -> bool:
    """True if this is a file, and no link, that this user wrote."""
    with suppress(OSError):
        status = path.lstat()
        is_own = os.name != "posix" or status.st_uid == os.geteuid()
        return stat.S_ISREG(status.st_mode) and is_own
    return False
