"""What an audit is asked to train, and how: all that training needs of a configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .config import Config, EngineSection, TrainingSection
from .recipe import RecipeSection

STORE = Path(".audit") / "store"


@dataclass(frozen=True)
class TrainingOrder:
    """Models to be trained.

    Attributes:
        wanted: how many of each kind, and the budget.
        recipe: how models are trained.
        arch: ``package.module:factory`` of the untrained network; None is a problem that ``check_order`` reports.
        device: where they are trained.
        seed: of the run.
        store: folder of trained models.
        engine: where they are trained.
    """

    wanted: TrainingSection
    recipe: RecipeSection
    arch: str | None
    device: str
    seed: int
    store: Path
    engine: EngineSection

    @property
    def factory(self) -> str:
        """``arch`` of an order that was checked."""
        if self.arch is None:
            raise ValueError("an order without arch was not checked")
        return self.arch


def training_order(config: Config, project: Path) -> TrainingOrder:
    """The order of a configuration; the store is by default in ``.audit/`` of the project folder."""
    return TrainingOrder(
        wanted=config.training,
        recipe=config.recipe,
        arch=config.model.arch,
        device=config.device,
        seed=config.seed,
        store=config.training.store or project / STORE,
        engine=config.engine,
    )
