"""choose_task: what a training learns: to classify cells, or to find them in fields."""

from typing import Any, Protocol

from malaria.data.labelled_images import LabelledImages
from malaria.evaluation.result import Result
from malaria.model import DETECTOR
from malaria.networks.backend import keras
from malaria.settings.config import Config
from malaria.training import assembly, detection_task
from malaria.training.annotated_fields import AnnotatedFields
from malaria.training.checkpoint import Progress
from malaria.training.detection_result import DetectionResult
from malaria.training.devices import Device
from malaria.training.step import Learner

# What is learnt from: it has a `digest`, and `failures` to read it again.
Material = LabelledImages | AnnotatedFields


class Task(Protocol):
    """The stretches of a training, which are functions of a module.

    Material and pipeline are those that the same task gave.
    """

    def load(self, config: Config) -> Any: ...
    def describe(self, config: Config, material: Any) -> Any: ...
    def steps_in_epoch(self, config: Config, material: Any) -> int: ...
    def total_steps(self, config: Config, material: Any) -> int: ...
    def build(self, config: Config, device: Device, material: Any) -> keras.Model: ...
    def make_pipeline(self, config: Config, device: Device, material: Any) -> Any: ...
    def make_learner(
        self, config: Config, device: Device, model: keras.Model, pipeline: Any
    ) -> Learner: ...
    def conclude(
        self, config: Config, material: Any, model: keras.Model, progress: Progress
    ) -> Result | DetectionResult: ...


def task_of(config: Config) -> Task:
    """What the network of a Config is for."""
    return detection_task if config.model == DETECTOR else assembly
