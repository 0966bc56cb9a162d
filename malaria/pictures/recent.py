"""recent: the bytes of what was fetched last, for a report shows what was classified before."""

from collections import OrderedDict
from threading import Lock

from malaria.pictures.remote_path import RemotePath

# Of 6,000 cells; a thumbnail is made about 200 pictures after the picture was fetched.
KEPT_BYTES = 64_000_000


class Recent:
    """Keeps files until the next ones need their room. Several threads may use one at once."""

    def __init__(self, room: int = KEPT_BYTES) -> None:
        self.room = room
        self._known: OrderedDict[RemotePath, bytes] = OrderedDict()
        self._one_at_a_time = Lock()

    def get(self, path: RemotePath) -> bytes | None:
        """The bytes of a file, if they are still here."""
        with self._one_at_a_time:
            return self._known.get(path)

    def keep(self, path: RemotePath, content: bytes) -> None:
        """Keep the bytes, and let go of the oldest ones beyond the room there is."""
        with self._one_at_a_time:
            self.room += len(self._known.pop(path, b"")) - len(content)
            self._known[path] = content
            while self.room < 0:
                _, oldest = self._known.popitem(last=False)
                self.room += len(oldest)
