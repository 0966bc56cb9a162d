"""same_file: a number for each file, however it is named, and a small memory of such numbers."""

import os
from array import array

from malaria.pictures.cell_in_field import CellInField
from malaria.pictures.remote_path import AnyPath, RemotePath, real_name


def file_number(path: AnyPath) -> int:
    """64 bits, the same for one file, or cell in it, by any name or link; of this run alone.

    Of what is not there, and of files of other machines, it is that of the name.
    """
    if isinstance(path, CellInField):
        return hash((file_number(path.field), path.box))
    if not isinstance(path, RemotePath):
        try:
            known = os.stat(path)
        except (OSError, ValueError):
            return hash(os.path.abspath(path))
        if known.st_ino:  # some file systems number nothing
            return hash((known.st_dev, known.st_ino))
    return hash(real_name(path))


class Seen:
    """The numbers that were added, in 12 to 24 bytes each where a set takes 90.

    A list may name 100 million files. Two of a million share a number once in 30 million runs.
    """

    def __init__(self) -> None:
        self._slots, self._count = _zeros(1024), 0

    def add(self, number: int) -> bool:
        """Keep a number of 64 bits; whether it is new."""
        number = number % 2**64 or 1
        slot = self._slot_of(number)
        if self._slots[slot]:
            return False
        self._slots[slot] = number
        self._count += 1
        if 3 * self._count > 2 * len(self._slots):
            self._grow()
        return True

    def _slot_of(self, number: int) -> int:
        """Where it lies, or the empty slot that is its own."""
        slots, last = self._slots, len(self._slots) - 1
        slot = number & last
        while slots[slot] not in (0, number):
            slot = (slot + 1) & last
        return slot

    def _grow(self) -> None:
        kept, self._slots = self._slots, _zeros(2 * len(self._slots))
        for number in filter(None, kept):
            self._slots[self._slot_of(number)] = number


def _zeros(count: int) -> "array[int]":
    return array("Q", bytes(8 * count))
