"""scikit-learn classifiers in skops files: types that skops trusts, and trees that were checked (extra ``sklearn``)."""

from __future__ import annotations

import io
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from audit.inputs.archive import Unsound, check_directory, check_header_of
from audit.inputs.called import CalledTarget
from audit.inputs.labels import plain
from audit.inputs.naming import listed
from audit.inputs.usercode import describe

from .formats import OTHERWISE, as_table, library
from .sklearn_trees import TRUSTED, damage

#: what divides votes: how many voters there are
VOTERS = ("n_estimators", "n_neighbors")
#: classes whose probabilities are counts of votes
VOTING = ("RandomForestClassifier", "ExtraTreesClassifier", "BaggingClassifier", "KNeighborsClassifier")


def load(path: Path, content: bytes, sha256: str) -> CalledTarget:
    """A classifier at black-box access: its decision function where it has one, else its probabilities.

    Args:
        path: for messages.
        content: the file.
        sha256: its digest.

    Raises:
        ValueError: with the remedy.
    """
    model = _loaded(path, content)
    classes = _classes(path, model)
    ask, probabilities = _answers(path, model, len(classes))
    name = type(model).__name__
    step = _step(model) if probabilities else None
    steps: tuple[str, ...] = ()
    if probabilities:
        finely = f" in steps of {step:g}" if step else ""
        steps = (f"{name} gives probabilities alone{finely}: rows at 0 or 1 are tied",)

    def call(inputs: Any) -> np.ndarray[Any, Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # names of columns that an array has not
            return np.asarray(ask(as_table(inputs, name)))

    numbers = tuple(c for c in classes if isinstance(c, int))
    return CalledTarget(
        call,
        sha256,
        f"scikit-learn {name} (skops)",
        probabilities=probabilities,
        step=step,
        classes=numbers or None,
        names=tuple(c for c in classes if isinstance(c, str)),
        steps=steps,
    )


def _loaded(path: Path, content: bytes) -> Any:
    skops = library("skops.io", "sklearn", path)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in check_directory(archive, len(content)):
                if member.filename.endswith(".npy"):
                    check_header_of(archive, member)
        untrusted = [name for name in skops.get_untrusted_types(data=content) if name not in TRUSTED]
        if untrusted:
            raise ValueError(
                f"{path} holds types that skops does not trust ({listed(untrusted)}), and loading them would run "
                "their code: keep to estimators of scikit-learn, or name a function of yours that loads it (--predict)"
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of another version; its outputs are judged, not its version
            model = skops.loads(content, trusted=list(TRUSTED))
        wrong = damage(model)
        if wrong:
            raise Unsound(f"holds {wrong}: it is damaged, save it again")
        return model
    except Unsound as error:
        raise ValueError(f"{path} {error}") from None
    except ValueError as error:
        if str(error).startswith(str(path)):
            raise
        raise ValueError(f"{path} is no readable skops file ({describe(error)}): save it with skops.io.dump") from None
    except MemoryError:
        raise ValueError(f"{path} does not fit into the memory of this machine: use a larger one") from None
    except Exception as error:  # noqa: BLE001 - skops raises many types on damaged files
        raise ValueError(f"{path} is no readable skops file ({describe(error)}): save it with skops.io.dump") from None


def _classes(path: Path, model: Any) -> tuple[int, ...] | tuple[str, ...]:
    """Numbers, or names, of the classes that the columns stand for; read as labels of data sets are."""
    found = getattr(model, "classes_", None)
    if found is None or not (hasattr(model, "decision_function") or hasattr(model, "predict_proba")):
        raise ValueError(
            f"{path} holds a {type(model).__name__}, no fitted classifier with decision_function or predict_proba; "
            f"{OTHERWISE}"
        )
    names = _labels(found)
    if len(np.unique(names)) != len(names) or len(names) < 2 or (names.dtype.kind != "U" and names.min() < 0):
        given = listed([str(name) for name in (found if isinstance(found, list) else np.ravel(found).tolist())])
        raise ValueError(
            f"{path} has the classes {given}: train it on two or more classes, labelled as the data are, with names or "
            "integers from 0"
        )
    if names.dtype.kind == "U":
        return tuple(names.tolist())
    if int(names.max()) >= MOST_CLASSES:
        raise ValueError(f"{path} has a class of number {int(names.max())}: number the classes from 0")
    return tuple(int(name) for name in names)


def _labels(found: Any) -> np.ndarray[Any, Any]:
    """Class labels (n,) as those of a data set are read, text or integers; none where they are neither."""
    try:
        names = np.asarray(found)
        if names.dtype.kind == "O" and all(isinstance(name, str) for name in names.ravel().tolist()):
            names = names.astype(str)
        return plain(names, "it")[0] if names.ndim == 1 else np.zeros(0)
    except ValueError:
        return np.zeros(0)


MOST_CLASSES = 100_000  # our choice: wider outputs are no classification that is audited here


def _answers(path: Path, model: Any, classes: int) -> tuple[Any, bool]:
    """What is asked, and whether it answers with probabilities."""
    if hasattr(model, "decision_function") and getattr(model, "decision_function_shape", "ovr") == "ovr":
        return _scores(model, classes), False
    if hasattr(model, "predict_proba"):
        return model.predict_proba, True
    raise ValueError(f"{path} decides between pairs of classes: train it with decision_function_shape='ovr'")


def _scores(model: Any, classes: int) -> Any:
    """The decision function; of two classes it gives the second one's."""
    if classes > 2:
        return model.decision_function

    def two(inputs: Any) -> np.ndarray[Any, Any]:
        second = np.asarray(model.decision_function(inputs), dtype=np.float64).reshape(-1)
        return np.column_stack([np.zeros(len(second)), second])

    return two


def _step(model: Any) -> float | None:
    """The step in which votes are counted: 1 over the number of voters."""
    last = model.steps[-1][1] if hasattr(model, "steps") else model
    if type(last).__name__ not in VOTING:
        return None
    return next((1.0 / getattr(last, key) for key in VOTERS if hasattr(last, key)), None)
