"""Values of the command line's options that are one of a few words."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """What was to be forgotten."""

    RANDOM = "random"
    CLASS = "class"
    SUBJECT = "subject"
    OTHER = "other"


class Split(StrEnum):
    """How the holdout set relates to the forget set."""

    ATTESTED = "attested"
    COINS = "coins"
    ASSUMED = "assumed"
    UNKNOWN = "unknown"


class Release(StrEnum):
    """What those hold to whom the model is released."""

    INTERNAL = "internal"
    LABELS = "labels"
    LOGITS = "logits"
    FEATURES = "features"
    WEIGHTS = "weights"


class AccessLevel(StrEnum):
    """What the adversary may have."""

    LABELS = "labels"
    LOGITS = "logits"
    FEATURES = "features"
    WEIGHTS = "weights"


class Provenance(StrEnum):
    """Where the references come from."""

    EXACT = "exact"
    CHECKPOINT = "checkpoint"
    SURROGATE = "surrogate"


class Strata(StrEnum):
    """How forget and holdout rows were drawn."""

    NONE = "none"
    LABEL = "label"


class Effort(StrEnum):
    """Budget of the attacks."""

    QUICK = "quick"
    STANDARD = "standard"
    THOROUGH = "thorough"


class TaskName(StrEnum):
    """What the outputs of the models mean."""

    CLASSIFICATION = "classification"
    MULTILABEL = "multilabel"
    REGRESSION = "regression"
    SCORES = "scores"
    CAUSAL_LM = "causal-lm"


class Channels(StrEnum):
    """Where pictures have their channels."""

    FIRST = "first"
    LAST = "last"
