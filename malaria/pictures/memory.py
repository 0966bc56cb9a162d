"""memory: so many bytes of decoded images at once, however many threads decode them."""

from contextlib import AbstractContextManager
from threading import Condition

from malaria.pictures.limits import UnreadableImageError

# Of all threads together; one image that needs more is refused.
MAX_BYTES = 512_000_000
# Less than this, as of an image of one cell, is not counted.
SMALL = 4_000_000


class Claim(AbstractContextManager["Claim"]):
    """Bytes of memory that one image has while the block lasts; others wait for what is taken."""

    _taken, _changed = 0, Condition()

    def __init__(self) -> None:
        self.size = 0

    def __exit__(self, *error: object) -> None:
        self.keep(0)

    def take(self, size: int) -> None:
        """Wait until there is room, once a claim. Raises UnreadableImageError if there never is."""
        if size > MAX_BYTES:
            raise UnreadableImageError(
                f"reading it takes {size / 1e6:,.0f} MB of memory, more than the "
                f"{MAX_BYTES / 1e6:.0f} MB allowed: make it smaller, or save it with 8 bits a "
                "channel and without transparency, as a PNG or JPEG"
            )
        if size > SMALL:
            with self._changed:
                self._changed.wait_for(lambda: Claim._taken + size <= MAX_BYTES)
                Claim._taken, self.size = Claim._taken + size, size

    def keep(self, size: int) -> None:
        """Give back all but `size`."""
        if self.size > size:
            with self._changed:
                Claim._taken, self.size = Claim._taken - self.size + size, size
                self._changed.notify_all()
