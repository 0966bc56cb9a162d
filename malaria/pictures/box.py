"""box: where a cell lies in a field."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Box:
    """A rectangle in a field, pixels from its top left corner."""

    left: int
    top: int
    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.left},{self.top},{self.width},{self.height}"
