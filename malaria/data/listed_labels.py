"""listed_labels: what tables say of images, label and patient, by the file, held in memory."""

from collections import Counter
from collections.abc import Iterable, Sequence

from malaria.base.errors import UserError
from malaria.base.text import printable, quote
from malaria.data.listing import Entry, Listing
from malaria.pictures.passed_over import did_you_mean
from malaria.pictures.remote_path import AnyPath
from malaria.pictures.same_file import file_number

# Label and patient of an image; None where nothing says it.
Said = tuple[str | None, str | None]
# This many labels are named.
NAMED = 10


class ListedLabels:
    """The label and the patient of each image in some tables, however the image is named.

    counts: the rows of each label. of_two_labels: a line about the first image that has two, or "".
    """

    def __init__(self, tables: Iterable[Listing]) -> None:
        """Raises UserError for an image of two patients."""
        self.counts: Counter[str] = Counter()
        self.of_two_labels = ""
        self._known: dict[int, Said] = {}
        for table in tables:
            for entry in table:
                self._add(entry, table)

    def __len__(self) -> int:
        return len(self._known)

    def _add(self, entry: Entry, table: Listing) -> None:
        number = file_number(entry.path)
        label, patient = self._known.get(number, (None, None))
        both = f"{printable(table.path)}: {printable(entry.path)} is listed under two"
        if differ(patient, entry.patient):
            raise UserError(f"{both} patients, {quote(patient)} and {quote(entry.patient)}")
        if differ(label, entry.label):
            text = f"{both} labels, {quote(label)} and {quote(entry.label)}: remove the wrong row"
            self.of_two_labels = self.of_two_labels or text
        self.counts[entry.label or ""] += 1
        self._known[number] = (label or entry.label, patient or entry.patient)

    def of(self, path: AnyPath) -> Said:
        """The label and the patient of an image."""
        return self._known.get(file_number(path), (None, None)) if self._known else (None, None)

    def check(self, labels: Sequence[str]) -> None:
        """Raise UserError unless each image has one label, and some have one of these.

        Another spelling of one of these is refused too, for its images would not be counted.
        """
        if self.of_two_labels:
            raise UserError(self.of_two_labels)
        others = [name for name in self.counts if name not in labels]
        plain = {label.casefold() for label in labels}
        near = [name for name in others if name.casefold() in plain]
        if near or len(others) == len(self.counts):
            hint = next(filter(None, (did_you_mean(name, labels) for name in near or others)), "")
            found = [f"{quote(name)} ({self.counts[name]:,} rows)" for name in self.counts if name]
            raise UserError(
                f"expected labels of {list(labels)} in the tables; found "
                f"{', '.join(found[:NAMED]) or 'none'}{hint}"
            )


def differ(one: str | None, other: str | None) -> bool:
    """Whether two texts are known and differ."""
    return bool(one and other) and one != other
