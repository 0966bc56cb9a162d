"""results: what each option of run.py makes of the predictions as they pass.

Every class here has add(prediction, group) and finish(). The libraries behind the rarer ones take
seconds to import, so each class imports what it needs when it is made.
"""

import io
import sys
from functools import cached_property
from itertools import islice

import numpy as np

from malaria.base import files
from malaria.base.errors import UsageError, UserError, printable
from malaria.cli.command import say
from malaria.data.dataset import FOLDER, PATIENT, make_grouper
from malaria.data.images import open_image, read_image
from malaria.outputs.terminal import Table, format_prediction, wants_colour

# As many pictures fit a grid that a person can still look at.
PLOTTED = 64
EXPLAINED_AT_ONCE = 16


def prepare_next_start(classifier):
    """Write what makes the next start quick, if it is missing. Where it cannot be, say so."""
    if classifier.afterwards is None:
        return
    try:
        say(f"saved {printable(classifier.afterwards())}, with which the next start is quick")
    except UserError as error:
        say(f"the next start will not be quicker: {printable(error)}")


class Rows:
    """One line a picture on stdout: a table on a terminal, else separated by tabs."""

    def __init__(self, classifier):
        passport = classifier.passport
        self.format = format_prediction
        if sys.stdout.isatty():
            table = Table(passport.labels, passport.positive_label, colour=wants_colour())
            self.format = table.format

    def add(self, prediction, group):
        print(self.format(prediction))

    def finish(self):
        sys.stdout.flush()


class Grid:
    """The first pictures with their labels, as one PNG."""

    def __init__(self, path):
        from malaria.evaluation import plots

        self.path, self.plot, self.shown = path, plots.plot_grid, []

    def add(self, prediction, group):
        if prediction.error is None and len(self.shown) < PLOTTED:
            self.shown.append(prediction)

    def finish(self):
        if not self.shown:
            return
        images = [np.asarray(open_image(shown.path).resize((128, 128))) for shown in self.shown]
        titles = [f"{shown.label} {shown.probability:.3f}" for shown in self.shown]
        self.plot(self.path, images, titles)
        say(f"saved {printable(self.path)}")


class Truth:
    """The true labels of the folder's sub-folders, and what the answers are worth."""

    def __init__(self, classifier, folder, metrics_path, *, group_by):
        """group_by: as make_grouper takes it; folders are labels here, so they are no groups."""
        from malaria.evaluation import format as findings
        from malaria.evaluation import result as evaluation

        self.evaluation, self.findings = evaluation, findings
        self.classifier, self.folder = classifier, folder
        self.metrics_path, self.labels = metrics_path, classifier.passport.labels
        if not folder.is_dir():
            raise UserError(f"--evaluate: expected a folder, not the picture {printable(folder)}")
        evaluation.check_sub_folders(folder, self.labels)
        self.patient_of = make_grouper(PATIENT if group_by == FOLDER else group_by)
        self.paths, self.truths, self.rows, self.groups = [], [], [], []
        self.left_out = 0

    def label_of(self, path):
        """The name of the true label, or None."""
        number = self.evaluation.true_label(path, self.folder, self.labels)
        return None if number is None else self.labels[number]

    def add(self, prediction, group):
        truth = self.label_of(prediction.path)
        if truth is None or prediction.error is not None:
            self.left_out += 1
            return
        self.paths.append(str(prediction.path))
        self.truths.append(self.labels.index(truth))
        self.rows.append(prediction.probabilities)
        self.groups.append(self.patient_of(prediction.path))

    @cached_property
    def assessment(self):
        """The Assessment of all that was added, made once, since its intervals take a while.

        Raises UserError if there was nothing.
        """
        if not self.paths:
            raise UserError(f"--evaluate: no readable picture with a label in {self.folder}")
        passport = self.classifier.passport
        return self.evaluation.Assessment(
            paths=self.paths,
            labels=np.array(self.truths),
            probabilities=np.array(self.rows),
            names=list(self.labels),
            positive=self.labels.index(passport.positive_label),
            threshold=passport.threshold,
            groups=self.groups if None not in self.groups else None,
        )

    def finish(self):
        assessment = self.assessment
        say(self.findings.describe(assessment))
        content = self.findings.to_json(
            assessment, left_out=self.left_out, model=self.classifier.name
        )
        write_json(self.metrics_path, content)


def write_json(path, content):
    """Write --metrics and say so."""
    files.write_json(path, content)
    say(f"saved {printable(path)}")


class Report:
    """The HTML page."""

    def __init__(self, path, classifier, truth, explanations):
        from malaria.outputs import html_report as page

        passport = classifier.passport
        self.truth, self.explanations = truth, explanations
        self.page = page.Page(
            path,
            labels=passport.labels,
            positive_label=passport.positive_label,
            threshold=passport.threshold,
            model_name=classifier.name,
        )

    def add(self, prediction, group):
        truth = self.truth.label_of(prediction.path) if self.truth else None
        overlay = self.explanations.made(prediction.path) if self.explanations else None
        self.page.add(prediction, group=group, truth=truth, overlay=overlay)

    def finish(self):
        evaluation = None
        if self.truth:
            evaluation = self.truth.findings.to_report(self.truth.assessment)
        self.page.write(evaluation=evaluation)
        say(f"saved {printable(self.page.path)}")


class Explanations:
    """Grad-CAM overlays, a file for each picture below `folder`. It needs Keras."""

    def __init__(self, folder, source, classifier):
        from malaria.inference import gradcam

        if source.is_dir() and folder.resolve().is_relative_to(source.resolve()):
            # Otherwise the next run would take the overlays for cells.
            raise UsageError(f"--explain: expected a folder outside of {printable(source)}")
        self.gradcam, self.folder, self.source = gradcam, folder, source
        self.passport, self.scale = classifier.passport, classifier.scale
        self.explainer = gradcam.Explainer(classifier.load_keras())

    def path_for(self, path):
        return self.gradcam.overlay_path(path, source=self.source, folder=self.folder)

    def made(self, path):
        """The overlay that was written for this picture as a JPEG, a fifth of its size, or None."""
        overlay = self.path_for(path)
        if not overlay.is_file():
            return None
        content = io.BytesIO()
        open_image(overlay).save(content, "JPEG", quality=80)
        return content.getvalue()

    def explain(self, predictions):
        """Yield the predictions again, each after its overlay has been written."""
        predictions = iter(predictions)
        while batch := list(islice(predictions, EXPLAINED_AT_ONCE)):
            self._write([shown for shown in batch if shown.error is None])
            yield from batch

    def _write(self, shown):
        if not shown:
            return
        pixels = np.stack([read_image(one.path, self.passport.pixels) for one in shown])
        # Doubtful cells have no label of the model's; what speaks for the likelier is shown.
        labels = np.array([one.probabilities for one in shown]).argmax(axis=1)
        pictures = pixels[..., ::-1] if self.passport.pixels.colour == "BGR" else pixels
        maps = self.explainer.heat_maps(self.scale(pixels), labels)
        for one, picture, heat_map in zip(shown, pictures, maps, strict=True):
            self.gradcam.save_overlay(self.path_for(one.path), picture, heat_map)
