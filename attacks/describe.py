"""Sentences of the details: a figure of the audited model beside those of the references."""

from __future__ import annotations

import numpy as np

from .base import Floats


def beside(values: Floats, digits: int = 3) -> str:
    """The audited model's figure and the references' range.

    Args:
        values: (J,), the audited model first.
        digits: after the point.
    """
    own = f"{values[0]:.{digits}f}"
    if len(values) == 1:
        return f"{own} (no reference)"
    return f"{own} (references {values[1:].min():.{digits}f} to {values[1:].max():.{digits}f})"


def by_layer(values: Floats, names: tuple[str, ...], digits: int = 3) -> str:
    """A profile over layers, each figure beside the references' range.

    Args:
        values: (J, L), the audited model first.
        names: of the L layers.
        digits: after the point.
    """
    return "; ".join(f"{name} {beside(column, digits)}" for name, column in zip(names, values.T, strict=True))


def out_of_range(values: Floats) -> str:
    """ "below" or "above" every reference, or "": needs three references (our choice) to say anything.

    Args:
        values: (J,), the audited model first.
    """
    others = values[1:]
    if len(others) < 3:
        return ""
    if values[0] < np.min(others):
        return "below"
    return "above" if values[0] > np.max(others) else ""
