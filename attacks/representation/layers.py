"""What the attacks on representations share: the two sides that are compared, drawn rows, and the layers they read."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from attacks.base import Case, Floats, Ints, NotApplicable, Signals, View

FEATURES = "features"
GROUPS = 8  # our choice: groups left out in turn for a standard error
LEAST = 16  # our choice: rows a side, two a group


def compared(case: Case) -> tuple[str, str]:
    """Roles of the side that may hold knowledge and of the side that should look the same if nothing is left."""
    return ("holdout", "test") if case.kind == "class" else ("forget", "holdout")


def drawn(count: int, limit: int, rng: np.random.Generator, least: int = LEAST) -> Ints:
    """At most ``limit`` of ``count`` rows, sorted, the same for every model (``rng`` is seeded alike).

    Raises:
        NotApplicable: fewer than ``least`` rows.
    """
    if count < least:
        raise NotApplicable(f"needs {least} rows on each side that it compares, one has {count}")
    return np.sort(rng.permutation(count)[:limit]).astype(np.int64)


def readable(view: View) -> tuple[str, ...]:
    """Hidden layers in the order of their calls, the features last; the features alone where there is no network."""
    try:
        return (*view.layers(), FEATURES)
    except NotApplicable:
        return (FEATURES,)


def hidden_layers(view: View) -> tuple[str, ...]:
    """Hidden layers in the order of their calls, one at least.

    Raises:
        NotApplicable: there is none, or no network.
    """
    found = view.layers()
    if not found:
        raise NotApplicable("the network has no hidden layer before its features (name some with --layers)")
    return found


def read(view: View, role: str, layer: str) -> Floats:
    """Activations (n, d) of a layer of ``readable``."""
    return view.features(role) if layer == FEATURES else view.activations(role, layer)


def layer_names(count: int) -> tuple[str, ...]:
    """Names of ``count`` readable layers for charts and sentences: signals hold numbers alone."""
    return (*(f"hidden {k}" for k in range(1, count)), FEATURES)


def profiles(signals: Sequence[Signals], key: str) -> Floats | None:
    """A profile (J, L) over layers, or None where the models have different numbers of layers."""
    found = [s[key] for s in signals]
    return np.stack(found) if len({len(values) for values in found}) == 1 else None


def jackknife(statistic: Callable[[Ints], float], rows: int) -> tuple[float, float]:
    """A statistic of a set of rows and its delete-a-group standard error.

    With g groups: sqrt((g - 1) / g * sum over groups of (t_g - mean)^2). Shao and Tu 1995, section 2.

    Args:
        statistic: of row indices.
        rows: how many there are, >= ``LEAST``.
    """
    group = np.arange(rows) % GROUPS
    left_out = np.array([statistic(np.flatnonzero(group != g)) for g in range(GROUPS)])
    error = float(np.sqrt((GROUPS - 1) / GROUPS * ((left_out - left_out.mean()) ** 2).sum()))
    return statistic(np.arange(rows)), error
