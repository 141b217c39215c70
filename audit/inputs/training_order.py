"""What an audit is asked to train, and how: all that training needs of a configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from attacks.tasks import loss_of

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
        task: what their outputs mean (`attacks.tasks`).
    """

    wanted: TrainingSection
    recipe: RecipeSection
    arch: str | None
    device: str
    seed: int
    store: Path
    engine: EngineSection
    task: str = "classification"

    @property
    def factory(self) -> str:
        """``arch`` of an order that was checked."""
        if self.arch is None:
            raise ValueError("an order without arch was not checked")
        return self.arch


def training_order(config: Config, project: Path) -> TrainingOrder:
    """The order of a configuration; the store is by default in ``.audit/`` of the project folder.

    The built-in recipe takes the loss of the task, where none is named.
    """
    recipe, task = config.recipe, config.task or "classification"
    if recipe.defined and recipe.train is None and "loss" not in recipe.model_fields_set and loss_of(task):
        recipe = recipe if recipe.loss == loss_of(task) else recipe.model_copy(update={"loss": loss_of(task)})
    if recipe.defined and recipe.output is None and config.model.output is not None:
        recipe = recipe.model_copy(update={"output": config.model.output})
    return TrainingOrder(
        wanted=config.training,
        recipe=recipe,
        arch=config.model.arch,
        device=config.device,
        seed=config.seed,
        store=config.training.store or project / STORE,
        engine=config.engine,
        task=task,
    )
