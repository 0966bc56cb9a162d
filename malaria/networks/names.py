"""names: a name for every layer that TensorFlow takes, whatever its author called it."""

import hashlib
import re

PLAIN = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.>-]{0,99}")


def safe_name(name: str) -> str:
    """`name` where TensorFlow takes it, else one made of it, the same for the same name.

    It takes no space and no letter beyond ASCII and, in Keras 3, no slash. Raises TypeError
    for what is no text.
    """
    if PLAIN.fullmatch(name):
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{re.sub('[^A-Za-z0-9]', '.', name)[:40]}_{digest}"
