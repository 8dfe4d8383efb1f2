"""What is held out of a calibration together. Written before any fit, and a function of the cases' names alone.

A *place* is a model, a batch size and a bandwidth: what a decision is made at. All plans at a place are held out
together, so that no plan is predicted by a profile that has seen another one there. `local` uses no network and is
measured once a batch size: it has a place of its own, and is predicted when that is held out.

`folds`: places are put in the order of the BLAKE2 hash of their names and dealt to five folds like cards. The other
splits leave out, in turn, every place of a batch size, of a bandwidth or of a model; `local` counts to no bandwidth.
`ranks` trains on one and two boards and predicts three and more. Cases whose compute was replayed are predicted there
alone, and never trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from calibration.corpus.cases import Case, CaseKey

FOLDS = 5


@dataclass(frozen=True)
class Fold:
    """Indices of cases: what is trained on, and what is then predicted."""

    name: str
    train: tuple[int, ...]
    test: tuple[int, ...]


@dataclass(frozen=True)
class Split:
    """One way of holding out. Every case is in the test of one fold at most."""

    name: str
    folds: tuple[Fold, ...]


def place(key: CaseKey) -> tuple[str, int, str]:
    """Model, batch and bandwidths of a case; those of `local` are none."""
    if key.plan.mode == "local":
        return key.model, key.batch, "local"
    reverse = "" if key.reverse_bandwidth_mbps is None else f"/{key.reverse_bandwidth_mbps:g}"
    return key.model, key.batch, f"{key.bandwidth_mbps:g}{reverse}"


def splits(cases: Sequence[Case]) -> tuple[Split, ...]:
    """All of them that the cases allow: a split needs something to train on in every fold."""
    places = sorted({place(case.key) for case in cases if not case.key.replayed}, key=_hash)
    fold_of = {name: index % FOLDS for index, name in enumerate(places)}
    found = [
        _split("folds", cases, lambda key: fold_of[place(key)]),
        _split("batch", cases, lambda key: key.batch),
        _split("bandwidth", cases, lambda key: None if key.plan.mode == "local" else key.bandwidth_mbps),
        _split("model", cases, lambda key: key.model),
        _split("ranks", cases, lambda key: "three and more" if key.plan.devices > 2 else None),
    ]
    return tuple(split for split in found if split.folds)


def _hash(name: tuple[str, int, str]) -> bytes:
    return blake2b("|".join(map(str, name)).encode(), digest_size=16).digest()


def _split(name: str, cases: Sequence[Case], label: Callable[[CaseKey], Hashable | None]) -> Split:
    """A fold for each label; cases without one are trained on in every fold and never predicted."""
    labels = [None if case.key.replayed and name != "ranks" else label(case.key) for case in cases]
    folds = []
    for value in sorted({each for each in labels if each is not None}, key=lambda each: (str(type(each)), each)):
        test = tuple(index for index, each in enumerate(labels) if each == value)
        train = tuple(i for i, each in enumerate(labels) if each != value and not cases[i].key.replayed)
        if any(cases[index].key.plan.mode != "local" for index in train):
            folds.append(Fold(f"{name} {value}", train, test))
    return Split(name, tuple(folds))
