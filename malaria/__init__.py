"""Tell malaria-parasitized red blood cells from uninfected ones.

    from malaria import load_classifier

    model = load_classifier()
    model.classify(["a.png", pil_image, uint8_array])

What is public is listed in __all__ and imported when it is first asked for: neither `import
malaria` nor classifying brings TensorFlow with it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from malaria.evaluation.result import Result as Result
    from malaria.inference.classifier import Classifier as Classifier
    from malaria.inference.load_classifier import load_classifier as load_classifier
    from malaria.inference.prediction import Prediction as Prediction
    from malaria.settings.config import Config as Config
    from malaria.training.trainer import train as train

__version__ = "2.7.0"
_PLACES = {
    "Classifier": "malaria.inference.classifier",
    "Config": "malaria.settings.config",
    "Prediction": "malaria.inference.prediction",
    "Result": "malaria.evaluation.result",
    "load_classifier": "malaria.inference.load_classifier",
    "train": "malaria.training.trainer",
}
__all__ = ["__version__", *_PLACES]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'malaria' has no attribute {name!r}; it has {__all__}")
    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
