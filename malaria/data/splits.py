"""splits: choose samples; divide them by patient or by image, once or into parts."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from malaria.base.errors import UserError
from malaria.base.text import printable
from malaria.data.dataset import Sample

SplitBy = Literal["patient", "image"]
# Of a cross-validation: a number of parts, or each source left out once.
Folds = int | Literal["source"]
# (training, validation): two index arrays.
Sides = tuple[np.ndarray, np.ndarray]

# The number of random draws of validation patients, of which the best balanced is taken.
DRAWS = 100


def choose_samples(samples: Sequence[Sample], per_label: int | None, *, seed: int) -> list[Sample]:
    """At random, but the same for the same seed, `per_label` samples of each label; None: all."""
    if per_label is None:
        return list(samples)
    # RandomState, not default_rng: numpy promises its streams never change.
    random = np.random.RandomState(seed)
    chosen: list[Sample] = []
    for label in sorted({sample.label for sample in samples}):
        members = [sample for sample in samples if sample.label == label]
        picks = random.permutation(len(members))[:per_label]
        chosen += [members[pick] for pick in sorted(picks)]
    return chosen


def split_samples(samples: Sequence[Sample], *, by: SplitBy, test_size: float, seed: int) -> Sides:
    """Two sorted index arrays, (training, validation), which together are all `samples`.

    by="patient": no patient is on both sides, and `test_size` is the share of patients;
    by="image": it is the share of images, the same for each label. Raises UserError if a side
    would lack a label.
    """
    try:
        training, validation = _split(samples, by=by, test_size=test_size, seed=seed)
    except ValueError:
        count = len({sample.patient if by == "patient" else sample.path for sample in samples})
        raise UserError(
            f"cannot split {count} {by}s with test_size {test_size}: expected more {by}s, or "
            "another test_size" + (", or split_by: image" if by == "patient" else "")
        ) from None
    labels = np.array([sample.label for sample in samples])
    for side, indices in (("training", training), ("validation", validation)):
        if len(np.unique(labels[indices])) < len(np.unique(labels)):
            raise UserError(
                f"the {side} side lacks a label with {len(samples)} images split by {by}: "
                "expected more images, or another test_size"
            )
    return np.sort(training), np.sort(validation)


def _split(samples: Sequence[Sample], *, by: SplitBy, test_size: float, seed: int) -> Sides:
    """By image, or the best balanced of DRAWS draws of patients. Raises ValueError."""
    # It takes a second to import, which --help need not wait for.
    from sklearn.model_selection import GroupShuffleSplit, train_test_split

    known = {"test_size": test_size, "random_state": seed}
    if by == "image":
        labels = [sample.label for sample in samples]
        return train_test_split(np.arange(len(samples)), stratify=labels, **known)
    patients, strata = known_patients(samples), number_strata(samples)
    draws = GroupShuffleSplit(DRAWS, **known).split(patients, groups=patients)
    return min(draws, key=lambda draw: _imbalance(strata, draw[1], test_size))


def split_as_given(samples: Sequence[Sample], *, by: SplitBy) -> Sides:
    """Two sorted index arrays, (training, validation), as the samples say it.

    Raises UserError where by="patient" and a patient is on both sides.
    """
    inside = np.array([sample.is_validation for sample in samples])
    training, validation = np.flatnonzero(~inside), np.flatnonzero(inside)
    if by == "patient":
        sides = [{samples[n].patient for n in side.tolist()} for side in (training, validation)]
        shared = sorted(name for name in sides[0] & sides[1] if name is not None)
        if shared:
            raise UserError(
                f"validation_images: {len(shared)} patients are in train_images too, such as "
                f"{printable(shared[0])}: expected others, or split_by: image"
            )
    return training, validation


def known_patients(samples: Sequence[Sample]) -> list[str]:
    """The patient of each sample. Raises UserError if one has none."""
    unknown = [sample for sample in samples if sample.patient is None]
    if unknown:
        raise UserError(
            f"{len(unknown)} of {len(samples)} file names tell no patient, such as "
            f"{printable(unknown[0].path)}: expected patient_pattern to match, or split_by: image"
        )
    return [sample.patient for sample in samples if sample.patient is not None]


def number_strata(samples: Sequence[Sample]) -> np.ndarray:
    """A number for each sample, 0, 1, ..., equal for those of one label and one source, (n,)."""
    pairs = [(sample.label, sample.source) for sample in samples]
    known = sorted(set(pairs))
    return np.array([known.index(pair) for pair in pairs], np.int64)


def _imbalance(strata: np.ndarray, validation: np.ndarray, test_size: float) -> float:
    """The distance of the worst stratum's validation share from test_size."""
    shares = np.bincount(strata[validation], minlength=strata.max() + 1) / np.bincount(strata)
    return float(np.abs(shares - test_size).max())


def fold_samples(samples: Sequence[Sample], *, by: SplitBy, count: int, seed: int) -> list[Sides]:
    """`count` pairs of sorted index arrays, (training, validation); each sample is once validated.

    by="patient": no patient is on both sides of a pair; each label's share is alike in all parts as
    far as that allows. by="image": at random, each label alike. Raises UserError if it cannot be.
    """
    labels = np.array([sample.label for sample in samples])
    patients = known_patients(samples) if by == "patient" else None
    scarcest = min(np.bincount(labels)) if patients is None else len(set(patients))
    if scarcest < count:
        kind = "images of each label" if patients is None else "patients"
        raise UserError(f"--folds: expected at least {count} {kind}; received {scarcest}")
    strata = labels if patients is None else number_strata(samples)
    parts = divide_alike(strata, patients, count=count, seed=seed)
    if any(len(np.unique(labels[side])) < labels.max() + 1 for part in parts for side in part):
        raise UserError(f"--folds: a label is missing in a part of {count}: expected fewer parts")
    return parts


def divide_alike(
    strata: np.ndarray, groups: Sequence[str] | None, *, count: int, seed: int
) -> list[Sides]:
    """`count` pairs of sorted index arrays, (training, validation); each is once validated.

    The share of each of the strata, (n,), is alike in all parts as far as may be. groups: of each
    index, none of which is on both sides of a pair.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    splitter = kind(count, shuffle=True, random_state=seed)
    return list(splitter.split(strata, strata, groups=groups))


def split_by_source(samples: Sequence[Sample]) -> dict[str, Sides]:
    """{source: (training, validation)}, sorted index arrays: each source is validated whole.

    A validation side may lack a label. Raises UserError if there is one source only.
    """
    sources = np.array([sample.source for sample in samples])
    names = list(dict.fromkeys(sources.tolist()))
    if len(names) < 2:
        raise UserError(
            "--folds=source: expected train_images to be a list of folders or tables; received one"
        )
    return {
        name: (np.flatnonzero(sources != name), np.flatnonzero(sources == name)) for name in names
    }
