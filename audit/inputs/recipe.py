"""The ``[recipe]`` table of ``audit.toml``: how the models of this audit are trained. Imports no torch."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

RATES = {"sgd": 0.1, "adam": 1e-3, "adamw": 1e-3}  # our choice, where lr is not given
MOMENTUM = 0.9  # of sgd, where momentum is not given
SHIFTS = ("shift:1:0", "shift:-1:0", "shift:0:1", "shift:0:-1")
QUERIES: dict[str, tuple[str, ...]] = {
    "none": (),
    "flip": ("flip",),
    "shift": SHIFTS,
    "flip+shift": ("flip", *SHIFTS),
}
#: keys of the built-in recipe; the user's own ``train`` excludes them
BUILT_IN = (
    "optimizer",
    "lr",
    "momentum",
    "nesterov",
    "weight_decay",
    "schedule",
    "warmup",
    "epochs",
    "batch_size",
    "augmentation",
    "loss",
    "label_smoothing",
)


class RecipeSection(BaseModel):
    """How models are trained: by the user's own functions, or by the built-in recipe.

    Attributes:
        train: ``package.module:function`` with the signature ``(model, data, seed) -> model``.
        unlearn: ``package.module:function`` with the signature ``(model, forget, retain, seed) -> model``.
        optimizer: of the built-in recipe.
        lr: learning rate > 0; None = 0.1 for sgd, 0.001 for adam and adamw.
        momentum: of sgd, in [0, 1); None = 0.9.
        nesterov: Nesterov's momentum, sgd only.
        weight_decay: >= 0; part of the gradient for sgd and adam, decoupled for adamw.
        schedule: after the warm-up: ``constant``; ``cosine`` or ``linear`` down to 0; ``step``: a tenth after half
            of the steps, a hundredth after three quarters.
        warmup: share of the steps in [0, 1) over which the rate rises linearly.
        epochs: passes over the training rows, > 0; a fraction is allowed.
        batch_size: rows a step; all rows where there are fewer.
        augmentation: of pictures (n, height, width) or (n, channels, height, width): left-right flip with probability
            1/2, shift by up to one pixel each way with the edge repeated, or both.
        loss: that of the task, which `training_order` enters: a mean over rows of the cross-entropy of classes (a
            network with one output is a binary classifier), the squared error or the binary cross-entropy of labels,
            both averaged over columns as torch does.
        label_smoothing: in [0, 1); of classes alone.
        engine: how many models are trained at once; ``auto`` measures.
        workers: processes of the pool; None = one a core, or one a GPU.
        output: name or position of the logits among what the network returns; None = ``--output``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    train: str | None = None
    unlearn: str | None = None
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    lr: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    momentum: float | None = Field(default=None, ge=0, lt=1)
    nesterov: bool = False
    weight_decay: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    schedule: Literal["constant", "cosine", "linear", "step"] = "constant"
    warmup: float = Field(default=0.0, ge=0, lt=1)
    epochs: float = Field(default=30.0, gt=0, allow_inf_nan=False)
    batch_size: int = Field(default=128, ge=1)
    augmentation: Literal["none", "flip", "shift", "flip+shift"] = "none"
    loss: Literal["cross_entropy", "squared_error", "binary_cross_entropy"] = "cross_entropy"
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    engine: Literal["auto", "vectorised", "pool"] = "auto"
    workers: int | None = Field(default=None, ge=1)
    output: str | None = None

    @field_validator("train", "unlearn")
    @classmethod
    def _named(cls, value: str | None) -> str | None:
        module, _, function = (value or "a:b").partition(":")
        if not module or not function:
            raise ValueError("name a function as package.module:function")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        given = [name for name in BUILT_IN if name in self.model_fields_set]
        if self.train is not None and given:
            raise ValueError(
                f"train = {self.train!r} is a recipe of its own, so {', '.join(given)} would have no effect: "
                "delete these lines, or delete train to use the built-in recipe"
            )
        if self.train is not None and self.engine == "vectorised":
            raise ValueError(
                'engine = "vectorised" trains with the built-in recipe only: with train, use "auto" or "pool"'
            )
        if self.optimizer != "sgd" and (self.momentum is not None or self.nesterov):
            raise ValueError(f"momentum and nesterov belong to sgd, not to {self.optimizer}: delete these lines")
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov = true needs momentum > 0: raise momentum, or delete nesterov")
        return self

    @property
    def defined(self) -> bool:
        """Was anything given?"""
        return bool(self.model_fields_set)

    @property
    def rate(self) -> float:
        """Learning rate, with the default of the optimiser."""
        return RATES[self.optimizer] if self.lr is None else self.lr

    @property
    def sgd_momentum(self) -> float:
        """Momentum of sgd, with its default."""
        return MOMENTUM if self.momentum is None else self.momentum

    @property
    def queries(self) -> tuple[str, ...]:
        """Names of the augmentation queries (``attacks.queries``) that match the augmentation."""
        return () if self.train is not None else QUERIES[self.augmentation]

    def resolved(self) -> dict[str, Any]:
        """All that decides what a trained model is, as plain values: ``train`` alone, or the built-in keys."""
        if self.train is not None:
            return {"train": self.train}
        values = {name: getattr(self, name) for name in BUILT_IN}
        if self.output is not None:
            values["output"] = self.output
        return values | {"lr": self.rate, "momentum": self.sgd_momentum if self.optimizer == "sgd" else None}
