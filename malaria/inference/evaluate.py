"""evaluate: predictions of labelled images -> one Result."""

from malaria.base.errors import UsageError
from malaria.base.patterns import Pattern
from malaria.data.dataset import make_patient_finder
from malaria.data.listing import Listing
from malaria.data.tables import is_table
from malaria.evaluation.result import Result
from malaria.inference.labelled_predictions import LabelledPredictions
from malaria.inference.predict import predict
from malaria.inference.sources import find_some
from malaria.inference.trained_model import TrainedModel
from malaria.pictures.folders import is_folder
from malaria.pictures.remote_path import FilePath
from malaria.pictures.same_file import file_number


def evaluate(model: TrainedModel, folder: FilePath, *, patient_pattern: str | None) -> Result:
    """The Result of the model on all images of `folder`; see Classifier.evaluate."""
    if patient_pattern is not None:
        try:  # a wrong one would find other patients
            Pattern(patient_pattern)
        except ValueError as error:
            raise UsageError(f"patient_pattern: {error}") from None
    group_of = make_patient_finder(patient_pattern or model.metadata.patient_pattern)
    if is_table(folder) and not is_folder(folder):
        table = Listing(folder)
        labelled = LabelledPredictions.of_table(model, table, group_of=group_of)
        # Each file once, however often it is named.
        paths = iter({file_number(entry.path): entry.path for entry in table}.values())
    else:
        labelled = LabelledPredictions.of_folder(model, folder, group_of=group_of)
        paths = find_some(folder)
    labelled.add_all(predict(paths, model))
    return labelled.result
