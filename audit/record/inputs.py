"""What was audited: inputs and claim, as ``run.json`` holds them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from .attack_record import Record


class InputRecord(Record):
    """One input. Models carry their plain SHA-256; personal data never does: its keyed commitment stands in the
    certificate alone."""

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

    @model_serializer(mode="wrap")
    def _without_absent(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Files have no ``architecture`` key: their records are those of earlier versions."""
        document: dict[str, Any] = dump(self)
        if self.architecture is None:
            document.pop("architecture", None)
        return document


class ClaimRecord(Record):
    """What the audit is about, fixed before anything was scored."""

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
    inferred: tuple[str, ...] = Field(default=(), description="what was not declared but inferred, and why")
