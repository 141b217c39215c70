"""Answers to small Gaussian changes of the input, as the cached queries of ``attacks.queries`` give them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attacks.base import Floats, View

NO_FLOATS = "needs one array of continuous inputs: noise is added to them"
SIZES = (0.1, 0.2, 0.5)  # our choice, in units of the inputs' standard deviation; label_only asks two draws of each


def answers(view: View, role: str, sizes: Sequence[float], draws: int, *, both: bool = False) -> Iterator[Floats]:
    """Logits of a set under every size and draw, each (n, C); one direction a draw, the same for all rows and models.

    Every answer is kept with the observations, so that attacks that ask alike share it.

    Args:
        view: the model.
        role: of the set.
        sizes: in units of the inputs' standard deviation over the set's file.
        draws: directions a size.
        both: the opposite direction after each.

    Raises:
        NotApplicable: no network to ask, or inputs that are no floats.
    """
    for size in sizes:
        for draw in range(draws):
            for sign in ("", "-") if both else ("",):
                yield view.augmented(role, f"noise:{sign}{size}:{draw}")
