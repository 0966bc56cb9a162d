"""judged_fields: --fields --evaluate: metrics, a plot, and pictures of what was missed."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image

from malaria.annotations.annotations import Annotations
from malaria.base.errors import UserError
from malaria.base.streams import log
from malaria.base.text import printable
from malaria.evaluation.bland_altman import compare
from malaria.evaluation.plots import plot_agreement
from malaria.fields.agreement import Agreement
from malaria.fields.agreement_text import describe_agreement
from malaria.fields.judge_fields import JudgedField, judge_field
from malaria.inference.classifier import Classifier
from malaria.inference.prediction import Prediction
from malaria.outputs.field_by_field import FieldByField
from malaria.outputs.field_pictures import CellFiles
from malaria.outputs.metrics_file import save_metrics
from malaria.pictures.images import UnreadableImageError, opened
from malaria.pictures.places import Places
from malaria.pictures.remote_path import AnyPath

NO_CELL, NOT_CALLED = "found and no cell", "parasitized and not called so"
NOT_FOUND = {kind: f"{kind} not found" for kind in ("parasitized", "uninfected", "unknown")}


class JudgedFields(FieldByField):
    """Judges what was found in each field, one at a time, by the annotations of --boxes."""

    def __init__(
        self,
        path: Path,
        classifier: Classifier,
        annotations: Annotations,
        places: Places,
        *,
        resume: bool = False,
    ) -> None:
        """path: of --metrics; what was missed comes into a folder beside it. Others as CellFiles.

        Raises UsageError, UserError.
        """
        super().__init__()
        self.path, self.classifier, self.annotations = path, classifier, annotations
        folder, labels = path.with_name(f"{path.stem}_missed"), (*NOT_FOUND.values(), NO_CELL)
        self.missed = CellFiles(
            folder, places, (*labels, NOT_CALLED), resume=resume, option="--metrics"
        )
        self.judged: list[JudgedField] = []
        self.left_out: Counter[str] = Counter()

    def add_field(self, cells: Sequence[Prediction]) -> None:
        """Compare one field with its annotations. Raises UserError."""
        path = cells[0].path
        if path is None or not self.annotations.knows(path):
            self.left_out["not annotated"] += 1
            return
        try:
            with opened(path) as field:
                self._judge(path, field, cells)
        except UnreadableImageError:
            self.left_out["unreadable"] += 1

    def _judge(self, path: AnyPath, field: Image.Image, cells: Sequence[Prediction]) -> None:
        try:
            known, is_complete = self.annotations.read(path, field.size)
        except UserError as error:
            self.left_out[str(error)] += 1
            return
        judged = judge_field(cells, known, size=field.size, is_complete=is_complete)
        self.judged.append(judged)
        self.missed.write(path, field, self._pictures(judged))

    def _pictures(self, judged: JudgedField) -> Iterator[Prediction]:
        for cell in judged.missed:
            yield Prediction(label=NOT_FOUND[cell.kind], box=cell.box)
        for one in judged.wrong or ():
            yield replace(one, label=NO_CELL)
        positive = self.classifier.metadata.positive_label
        for cell, one in judged.pairs:
            if cell.kind == "parasitized" and one.label != positive:
                yield replace(one, label=NOT_CALLED)

    def finish(self) -> None:
        """Print and write the metrics and the plot. Raises UserError if no field was judged."""
        super().finish()
        left_out = "; ".join(f"{count:,}: {reason}" for reason, count in self.left_out.items())
        if not self.judged:
            raise UserError(f"--evaluate: none of the fields could be judged ({left_out})")
        known = self.classifier.metadata
        agreement = Agreement(self.judged, known.labels, known.positive_label)
        count = "1 field" if len(self.judged) == 1 else f"{len(self.judged):,} fields"
        log(f"{count} compared with {printable(self.annotations.path)}")
        if left_out:
            log(f"left out of the comparison: {printable(left_out)}")
        log(describe_agreement(agreement))
        self._plot(agreement)
        self.missed.finish()
        self._save(agreement)

    def _plot(self, agreement: Agreement) -> None:
        levels = {
            level: ([*some.values()], compare([*some.values()]))
            for level, some in agreement.pairs().items()
            if len(some) > 1
        }
        if levels:
            plot_agreement(path := self.path.with_name(f"{self.path.stem}_agreement.svg"), levels)
            log(f"saved {printable(path)}")

    def _save(self, agreement: Agreement) -> None:
        known = self.classifier.metadata
        more = {
            "left_out": dict(self.left_out),
            "positive": known.positive_label,
            "threshold": known.threshold if len(known.labels) == 2 else None,
            "model": self.classifier.name,
            "annotations": str(self.annotations.path),
            "notes": list(self.notes),
        }
        save_metrics(self.path, agreement.to_entries() | more)
