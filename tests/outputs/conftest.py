"""What the tests of several outputs share: labelled cells and a classifier of plain Python."""

import pytest
from plain_network import PlainNetwork

from malaria.data.dataset import make_grouper
from malaria.inference.classifier import Classifier
from malaria.inference.labelled_predictions import LabelledPredictions
from malaria.inference.predict import annotate, predict
from malaria.pictures.images import PixelFormat
from malaria.saved.metadata import Metadata
from malaria.saved.pair import Pair

PATIENT_OF = make_grouper("patient")


@pytest.fixture
def classifier():
    """P(Uninfected) is the red of the first pixel."""
    metadata = Metadata(("Parasitized", "Uninfected"), "Parasitized", PixelFormat((9, 7)))
    network = PlainNetwork(lambda images: images[:, :1, 0, 0])
    return Classifier(metadata, network, Pair.at("models", "a"))


@pytest.fixture
def labelled(folder, classifier):
    return LabelledPredictions.of_folder(classifier, folder, group_of=PATIENT_OF)


@pytest.fixture
def predict_all(folder, classifier, labelled):
    """A function: the predictions of all images of `folder`, with patients and true labels."""

    def predictions():
        paths = [folder / "no label.png", *sorted(folder.glob("*/*.png"))]
        found = predict(paths, classifier)
        return list(annotate(found, group_of=PATIENT_OF, label_of=labelled.label_of))

    return predictions


@pytest.fixture
def feed():
    """A function that gives predictions to an output, as a run does."""

    def give(output, predictions):
        for prediction in predictions:
            output.add(prediction)
        output.finish()
        output.close()

    return give
