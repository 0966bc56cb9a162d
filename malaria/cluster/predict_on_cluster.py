"""predict_on_cluster: pictures -> predictions, by all cores of a cluster."""

from collections.abc import Iterable, Iterator

from malaria.cluster.crew import Crew
from malaria.cluster.work import Work
from malaria.cluster.worker import Baggage
from malaria.inference.classifier import Classifier
from malaria.inference.prediction import Prediction
from malaria.pictures.remote_path import AnyPath

# Pictures that are given out together: a tenth of a second of work, so that the giving is nothing
# beside it. A multiple of the batches that `inference.predict` makes, so that these are the same.
CHUNK = 256
# A field has hundreds of cells.
FIELDS_CHUNK = 2


def predict_on_cluster(
    paths: Iterable[AnyPath],
    classifier: Classifier,
    *,
    fields: bool = False,
    chunk_size: int | None = None,
) -> Iterator[Prediction]:
    """Yield what `inference.predict.predict` yields of these files, in the same order.

    Ray is connected, and each node sees the files under the same paths. What a lost node had is
    done again by others. A few chunks for each core are in memory at a time. fields: the pictures
    are whole fields, as for `predict_fields`. classifier: one that answers with LiteRT. Raises
    UserError where no worker can be started.
    """
    work = Work(paths, chunk_size or (FIELDS_CHUNK if fields else CHUNK))
    crew = Crew(Baggage.pack(classifier), work, fields=fields)
    while not work.is_done:
        crew.hire()
        crew.give_out()
        yield from work.answers()
        crew.listen()
    crew.tell_losses()
