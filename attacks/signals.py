"""Per-example signals, computed from logits in float64."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .base import Floats, Ints

CANONICAL = 3.0  # our choice, in nats: about the scale of a trained network's logits
EXPLAINED = 1.0  # our choice, measured: penalty of ``class_excess`` in units of its rows


def log_softmax(logits: Floats) -> Floats:
    """Log-probabilities, shape (n, C), in nats; stable for any finite logits."""
    z = np.asarray(logits, dtype=np.float64)
    z = z - z.max(axis=1, keepdims=True)
    return np.asarray(z - np.log(np.exp(z).sum(axis=1, keepdims=True)))


def canonical(logits: Floats, reference: Floats) -> Floats:
    """Logits at a common temperature: the median absolute centred logit of ``reference`` becomes ``CANONICAL``.

    A published model may be rescaled (logits times any factor) without changing a prediction; its scores must not
    change either. The median ignores one masked class. Constant logits are left as they are.

    Args:
        logits: (n, C).
        reference: (m, C) logits of the same model that set its temperature.
    """
    scale = logit_scale(reference)
    return np.asarray(logits * (CANONICAL / scale)) if scale > 0 else logits


def logit_scale(logits: Floats) -> float:
    """Median absolute logit, each minus its row's mean."""
    return float(np.median(np.abs(logits - logits.mean(axis=1, keepdims=True))))


def logit_confidence(logits: Floats, y: Ints) -> Floats:
    """Logit-scaled confidence: log p_y - log sum of the other probabilities.

    Computed from logits, never from rounded probabilities, so separable examples keep their rank. Carlini et al.
    2022 (arXiv 2112.03570), section IV.C.

    Args:
        logits: (n, C), C >= 2. Log-probabilities serve as well: the signal ignores a common shift.
        y: labels in [0, C), shape (n,).

    Returns:
        (n,) floats; higher = more confident in the label.
    """
    rows = np.arange(len(y))
    others = np.array(logits, dtype=np.float64)
    own = others[rows, y].copy()
    others[rows, y] = -np.inf
    peak = others.max(axis=1)
    return np.asarray(own - peak - np.log(np.exp(others - peak[:, None]).sum(axis=1)))


def log_label(logits: Floats, y: Ints) -> Floats:
    """Log-probability of the label = minus the cross-entropy loss, shape (n,), in nats; higher = more like a member.

    Yeom et al. 2018 (arXiv 1709.01604).
    """
    return np.asarray(log_softmax(logits)[np.arange(len(y)), y])


def entropy(logits: Floats) -> Floats:
    """Shannon entropy of the predicted distribution, shape (n,), in nats, within [0, log C]."""
    logs = log_softmax(logits)
    return np.asarray(-(np.exp(logs) * logs).sum(axis=1))


def modified_entropy(logits: Floats, y: Ints) -> Floats:
    """Modified entropy: -(1 - p_y) log p_y - sum over i != y of p_i log(1 - p_i).

    0 where the label is certain, large where a wrong class is. Song and Mittal 2021 (arXiv 2003.10595), equation 8.
    log(1 - p) of the likeliest class is computed from the other classes' logits, so it stays finite at p = 1.

    Args:
        logits: (n, C), C >= 2.
        y: labels in [0, C), shape (n,).

    Returns:
        (n,) floats >= 0, in nats; higher = less like a member.
    """
    rows = np.arange(len(y))
    logs = log_softmax(logits)
    p = np.exp(logs)
    top = logs.argmax(axis=1)
    log_rest = np.log1p(-np.where(rows_mask(top, logs.shape[1]), 0.0, p))
    log_rest[rows, top] = -np.logaddexp(0.0, logit_confidence(logits, top))
    terms = p * log_rest
    terms[rows, y] = np.exp(log_rest[rows, y]) * logs[rows, y]
    return np.asarray(-terms.sum(axis=1))


def rows_mask(chosen: Ints, n_classes: int) -> npt.NDArray[np.bool_]:
    """(n, C) booleans: True at each row's chosen class."""
    return np.asarray(chosen[:, None] == np.arange(n_classes))


def label_margin(logits: Floats, y: Ints) -> Floats:
    """Logit of the label minus the best other logit, shape (n,); > 0 where the label is predicted."""
    others = np.where(rows_mask(y, logits.shape[1]), -np.inf, logits)
    return np.asarray(logits[np.arange(len(y)), y] - others.max(axis=1))


def correct(logits: Floats, y: Ints) -> npt.NDArray[np.bool_]:
    """Is the label predicted? Shape (n,)."""
    return np.asarray(logits.argmax(axis=1) == y)


def class_logit(logits: Floats, classes: tuple[int, ...], own: Ints | None) -> Floats:
    """Logit of a forgotten class minus the mean logit of the retained classes, shape (n,).

    Args:
        logits: (n, C).
        classes: the forgotten classes, fewer than C.
        own: the row's own forgotten class, (n,); None = the mean over all forgotten classes.
    """
    retained = np.delete(logits, list(classes), axis=1).mean(axis=1)
    chosen = logits[:, list(classes)].mean(axis=1) if own is None else logits[np.arange(len(own)), own]
    return np.asarray(chosen - retained)


def class_excess(focus: Floats, control: Floats, classes: tuple[int, ...], own: Ints) -> tuple[Floats, Floats]:
    """What the retained logits do not explain of a forgotten class's logit (``class_logit``).

    Networks that never saw a class differ in which retained classes its examples look like, and their class logit
    follows. A ridge with intercept on standardised retained logits (each minus their row's mean) and their largest,
    fitted on the control rows, predicts it; the rest is returned. A constant added to the logit goes into the
    intercept. Ours; on digits it takes a twelfth (fresh worlds) to a fifth off the
    scatter between retrains.

    Args:
        focus: (n, C) logits of examples of the forgotten classes.
        control: (m, C) logits of examples of the retained ones.
        classes: the forgotten classes, fewer than C.
        own: forgotten class of each focus row, (n,).

    Returns:
        excess of the focus rows' own class (n,); mean excess of all forgotten classes on the control rows (m,), whose
        mean is 0.
    """
    known, unknown = (_explaining(logits, classes) for logits in (control, focus))
    (centre, scale), chosen = spread_of(known), list(classes)
    known, unknown = ((part - centre) * scale for part in (known, unknown))
    retained = [np.delete(logits, chosen, axis=1).mean(axis=1, keepdims=True) for logits in (control, focus)]
    target = control[:, chosen] - retained[0]
    level = target.mean(axis=0)
    gram = known.T @ known + EXPLAINED * len(known) * np.eye(known.shape[1])
    weight = np.linalg.solve(gram, known.T @ (target - level))
    left = focus[:, chosen] - retained[1] - level - unknown @ weight
    at = (own[:, None] == np.array(chosen)).argmax(axis=1)
    return np.asarray(left[np.arange(len(own)), at]), np.asarray((target - level - known @ weight).mean(axis=1))


def _explaining(logits: Floats, classes: tuple[int, ...]) -> Floats:
    """Retained logits minus their row's mean, and the largest of them, (n, C - number of classes + 1)."""
    retained = np.delete(logits, list(classes), axis=1)
    retained = retained - retained.mean(axis=1, keepdims=True)
    return np.concatenate([retained, retained.max(axis=1, keepdims=True)], axis=1)


def spread_of(values: Floats) -> tuple[Floats, Floats]:
    """Mean and 1 / standard deviation of each column of (n, d); 0 for a constant one, whatever its rounding."""
    centre, spread = values.mean(axis=0), values.std(axis=0)
    varies = spread > 1e-9 * np.abs(values).max(axis=0)  # our choice: far above rounding, far below any signal
    return centre, np.where(varies, 1 / np.where(varies, spread, 1.0), 0.0)


def retained_spread(logits: Floats, classes: tuple[int, ...]) -> float:
    """Standard deviation of the retained classes' logits around their mean per row; 1 where there is none."""
    retained = np.delete(logits, list(classes), axis=1)
    spread = float((retained - retained.mean(axis=1, keepdims=True)).std())
    return spread if spread > 0 else 1.0


def contrast(focus: Sequence[Floats], control: Sequence[Floats]) -> tuple[Floats, Floats]:
    """Mean over the focus rows minus mean over the control rows, per model.

    Args:
        focus: J arrays, one value per row of the side that may hold knowledge.
        control: J arrays, one value per row of the side that should look the same if nothing is left.

    Returns:
        difference (J,) and its standard error over the rows (J,).
    """
    pairs = list(zip(focus, control, strict=True))
    difference = np.array([f.mean() - c.mean() for f, c in pairs])
    error = np.array([np.sqrt(f.var() / len(f) + c.var() / len(c)) for f, c in pairs])
    return difference, error


def by_row(focus: Sequence[Floats], control: Sequence[Floats]) -> Floats:
    """What each focus row adds to ``contrast``, (J, n): its value minus the control rows' mean."""
    return np.stack([f - c.mean() for f, c in zip(focus, control, strict=True)])
