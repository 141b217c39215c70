"""What was audited: inputs and claim, as ``run.json`` holds them."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from .attack_record import Record

#: a model that nobody outside reaches
INTERNAL = "internal"


class _Grown(Record):
    """A record that gained fields: where one of ``ADDED`` is None its key is absent, as in earlier versions."""

    ADDED: ClassVar[tuple[str, ...]] = ()

    @model_serializer(mode="wrap")
    def _without_absent(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        document: dict[str, Any] = dump(self)
        return {key: value for key, value in document.items() if value is not None or key not in self.ADDED}


class InputRecord(_Grown):
    """One input. Models carry their plain SHA-256; personal data never does: its keyed commitment stands in the
    certificate alone."""

    ADDED = ("architecture",)

    role: str = Field(description="'forget', ..., 'original', 'unlearned', 'retrained/0', ...")
    name: str
    kind: Literal["data", "model", "outputs"]
    rows: int | None = None
    shape: tuple[int, ...] | None = None
    sha256: str | None = Field(default=None, description="of the file, or of the state of a model in memory")
    note: str = ""
    architecture: str | None = Field(
        default=None, description="SHA-256 of the code of a network that the calling program held; else absent"
    )


class ClaimRecord(_Grown):
    """What the audit is about, fixed before anything was scored."""

    ADDED = ("release",)

    kind: Literal["random", "class", "subject", "other"]
    split: Literal["attested", "coins", "assumed", "unknown"]
    access: Literal["labels", "logits", "features", "weights"]
    classes: tuple[int, ...] = ()
    public_layers: tuple[str, ...] = ()
    strata: Literal["none", "label"] = Field(
        default="none", description="label: forget and holdout were drawn class by class; labels permute within a class"
    )
    provenance: Literal["exact", "checkpoint", "surrogate"] = Field(
        default="exact",
        description="exact: references trained from scratch; checkpoint: from weights that never saw the forget set; "
        "surrogate: the auditor's own pipeline on other data",
    )
    looks: Literal["single", "ledger"] = "single"
    release: Literal["internal", "labels", "logits", "features", "weights"] | None = Field(
        default=None, description="what those hold to whom the model is released, as declared; else absent"
    )
    inferred: tuple[str, ...] = Field(default=(), description="what was not declared but inferred, and why")
