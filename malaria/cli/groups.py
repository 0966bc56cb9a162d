"""groups: the patient or the folder of each image, of several folders kept apart."""

from malaria.cli.inputs import Inputs
from malaria.cli.options import Options
from malaria.data.dataset import FOLDER, PATIENT, make_grouper, make_patient_finder
from malaria.inference.classifier import Classifier
from malaria.pictures.cell_in_field import or_field
from malaria.pictures.places import Places, source_of
from malaria.pictures.remote_path import AnyPath, to_path


def find_places(inputs: Inputs) -> Places:
    """Where the results of what --image names belong."""
    folders = inputs.roots
    others = (to_path(name.removeprefix("@")) for name in inputs.names)
    return Places(folders, [path for path in others if path not in folders])


class Groups:
    """Finds the group of an image: as a list says, as --group_by, as the model knows.

    Of a cell in a field for which nothing of these tells any, it is the field.

    Where --image names several folders, a patient is written "folder:patient", for two laboratories
    may number theirs alike. by_folder: whether --group_by=folder counts.
    """

    def __init__(
        self, options: Options, classifier: Classifier, inputs: Inputs, *, by_folder: bool = True
    ) -> None:
        self._inputs, self._places, self._folders = inputs, find_places(inputs), inputs.roots
        group_by = options.group_by or PATIENT
        self._by = PATIENT if group_by == FOLDER and not by_folder else group_by
        is_as_trained = self._by == PATIENT
        pattern = classifier.metadata.patient_pattern
        self._grouper = make_patient_finder(pattern) if is_as_trained else make_grouper(self._by)
        self._names: dict[str, set[str]] = {}

    def find(self, path: AnyPath) -> str | None:
        """The group of an image, or None."""
        if (known := self._inputs.patient_of(path)) is not None:
            return known
        if self._by == FOLDER:
            return "/".join(self._places.folders_of(path)) or self._grouper(path)
        name = self._grouper(path)
        several = self._by == PATIENT and len(self._folders) > 1
        folder = source_of(path, self._folders) if several else None
        if name is None or folder is None:
            return or_field(name, path)
        whole = f"{'/'.join(self._places.folders_of(folder / 'image')) or folder.name}:{name}"
        self._names.setdefault(name, set()).add(whole)
        return whole

    @property
    def notes(self) -> list[str]:
        """A line about the patients of one name in several folders, if there are any."""
        several = [sorted(names) for names in self._names.values() if len(names) > 1]
        if not several:
            return []
        return [
            f"{len(several):,} patients have one name in several folders, as "
            f"{' and '.join(several[0][:2])}, and are counted apart: if they are the same people, "
            "name the folder above, or a .csv with the columns path and patient"
        ]
