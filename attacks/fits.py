"""Which rows a map or a probe may be fitted on: never a forget row, never a forgotten class."""

import numpy as np

from .base import Case, Ints, NotApplicable


def fit_rows(case: Case, limit: int, rng: np.random.Generator) -> tuple[Ints, str]:
    """Rows of the retain set to fit on, the same for every model of an audit.

    Every model compared was trained on the retain set, so a fit on it favours none of them.

    Args:
        case: the case; its retain set holds no forget row (checked on entry).
        limit: at most this many rows, drawn without replacement.
        rng: generator seeded alike for every model.

    Returns:
        sorted row indices (m,), and a sentence on the composition for the report.

    Raises:
        NotApplicable: fewer than two classes are left.
    """
    labels = case.labels["retain"]
    allowed = np.flatnonzero(~np.isin(labels, case.classes))
    if case.task.class_logits and len(np.unique(labels[allowed])) < 2:
        raise NotApplicable("the retain set holds fewer than two classes to fit on")
    if len(allowed) > limit:
        allowed = np.sort(rng.choice(allowed, size=limit, replace=False))
    if not case.task.class_logits:
        return allowed, f"fit set: {len(allowed)} retain rows, no forget row"
    counts = np.bincount(labels[allowed], minlength=case.n_classes)
    composition = ", ".join(f"{label}: {count}" for label, count in enumerate(counts[:20]))
    more = " (first 20 classes)" if len(counts) > 20 else ""
    return allowed, f"fit set: {len(allowed)} retain rows, no forget row; rows per class {composition}{more}"
