"""What to audit: flag > ``AUDIT_*`` variable > ``audit.toml`` > the standard names beside the forget set."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from audit.errors import UsageError
from audit.record.invalid import wrong_values

from .models import OUTPUT_SUFFIXES, TORCH_SUFFIXES
from .recipe import RecipeSection

DATA_ROLES = ("forget", "retain", "holdout", "test", "auxiliary")
CONFIG_NAME = "audit.toml"

TEMPLATE = """\
# audit.toml: what `audit run` audits. Every key can be given as a flag (--forget ...) or as an AUDIT_* variable.
# Paths are relative to this file. Files with the standard names beside the forget set are found by themselves.

policy = "standard"            # screening (never PASS), standard, strict, or the path of a policy file
seed = 0
# device = "cuda"
# out = "runs"

[data]                         # .npz with x, y and optional ids, group (data subject), request
forget = "forget.npz"          # what had to be forgotten
retain = "retain.npz"          # what the model may still know
# holdout = "holdout.npz"      # never seen by any model, same pool as the forget set; else the test set serves
test = "test.npz"              # never seen by any model
# auxiliary = "auxiliary.npz"  # never seen, checks the fits; else a quarter of the test set

[model]                        # .safetensors or .pt/.pth state dicts, or .npz with logits per set
# arch = "mypackage.nets:make" # function that builds the (untrained) model; not needed for logits
unlearned = "unlearned.safetensors"
original = "original.safetensors"       # positive control: without it no PASS
retrained = []                 # honest retrains: the null distribution. 8 or more for class claims
# provenance = "exact"         # of the retrains. exact: from scratch | checkpoint: from weights that never saw the
#                              # forget set (public, or earlier) | surrogate: another pipeline or other data
# runs = []                    # further runs of the same unlearning procedure, with other seeds: the claim is then
#                              # about the procedure
# head = "fc"                  # final linear layer, where it cannot be found

[recipe]                       # how the original was trained: for references and shadow models trained by the audit
# optimizer = "sgd"            # sgd | adam | adamw
# lr = 0.1
# momentum = 0.9               # sgd only, as nesterov = true
# weight_decay = 5e-4
# schedule = "cosine"          # constant | cosine | linear | step
# warmup = 0.0                 # share of the steps
# epochs = 30
# batch_size = 128
# augmentation = "none"        # none | flip | shift | flip+shift
# label_smoothing = 0.0
# engine = "auto"              # vectorised: many small models in one program | pool: one process a core or GPU
# instead of all that, your own (model, data, seed) -> model:  train = "mypackage.training:train"
# unlearn = "mypackage.training:unlearn"   # your procedure (model, forget, retain, seed) -> model, for U-LiRA

[training]                     # what the audit trains itself; trained once, kept in the store
# references = 8               # retrains on the retain set, beside those given
# shadows = 64                 # shadow models for online LiRA, RMIA and the shadow attacks; 16 or more
# pipelines = 32               # shadow models that your procedure then unlearns (U-LiRA); 16 or more
# max_minutes = 60             # ends training; what is missing then keeps the verdict from PASS
# max_references = 8
# store = ".audit/store"       # private: shadow models were trained on forget rows

[claim]                        # fixed before anything is scored; what is silent is inferred and printed
# kind = "random"              # random | class | subject | other
# split = "attested"           # attested: the holdout set is a random companion split of the forget set
#                              # coins: each row went to forget or holdout by a fair coin of its own
#                              # assumed (default): probably comparable, checked | unknown: no such set
# access = "features"          # labels | logits | features | weights: what the adversary may have
# public_layers = []           # layers never trained on this data (a public frozen backbone), by name prefix
# strata = "label"             # none (default); label: forget and holdout rows were drawn class by class
# ledger = "looks.jsonl"       # count every look at this forget set; without it this one look spends all of alpha

[certificate]
# sign_key = "audit.key"       # made by `audit keygen`; without it the statement stays unsigned
# signer_name = "Jane Doe"
# signer_role = "data protection officer"
"""


class Section(BaseModel):
    """Base of the sections: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DataSection(Section):
    """Paths of the data sets."""

    forget: Path | None = None
    retain: Path | None = None
    holdout: Path | None = None
    test: Path | None = None
    auxiliary: Path | None = None


class ModelSection(Section):
    """Paths of the models and how to build them."""

    arch: str | None = None
    head: str | None = None
    original: Path | None = None
    unlearned: Path | None = None
    retrained: tuple[Path, ...] = ()
    provenance: Literal["exact", "checkpoint", "surrogate"] = "exact"
    runs: tuple[Path, ...] = ()
    trust_pickle: bool = False


class TrainingSection(Section):
    """What the audit trains itself."""

    references: int = Field(default=0, ge=0)
    shadows: int = Field(default=0, ge=0)
    pipelines: int = Field(default=0, ge=0)
    max_minutes: float | None = Field(default=None, gt=0)
    max_references: int | None = Field(default=None, ge=0)
    store: Path | None = None

    @property
    def asked(self) -> bool:
        """Anything is to be trained."""
        return bool(self.references or self.shadows or self.pipelines)


class ClaimSection(Section):
    """The declared claim; None = inferred."""

    kind: Literal["random", "class", "subject", "other"] | None = None
    split: Literal["attested", "coins", "assumed", "unknown"] | None = None
    access: Literal["labels", "logits", "features", "weights"] | None = None
    public_layers: tuple[str, ...] = ()
    strata: Literal["none", "label"] = "none"
    ledger: Path | None = None


class CertificateSection(Section):
    """Who signs."""

    sign_key: Path | None = None
    signer_name: str = "not named"
    signer_role: str = "not stated"


class Config(Section):
    """The resolved configuration of one audit."""

    policy: str = "standard"
    seed: int = Field(default=0, ge=0)
    device: str = "cpu"
    out: Path = Path("runs")
    batch_size: int = Field(default=512, ge=1)
    data: DataSection = DataSection()
    model: ModelSection = ModelSection()
    recipe: RecipeSection = RecipeSection()
    training: TrainingSection = TrainingSection()
    claim: ClaimSection = ClaimSection()
    certificate: CertificateSection = CertificateSection()


#: flag name -> (section, key); section "" is the top level
OPTIONS: dict[str, tuple[str, str]] = (
    {role: ("data", role) for role in DATA_ROLES}
    | {
        key: ("model", key)
        for key in ("original", "unlearned", "retrained", "provenance", "runs", "arch", "head", "trust_pickle")
    }
    | {key: ("claim", key) for key in ("strata", "ledger")}
    | {"claim": ("claim", "kind"), "split": ("claim", "split"), "access": ("claim", "access")}
    | {"sign_key": ("certificate", "sign_key"), "max_minutes": ("training", "max_minutes")}
    | {f"train_{key}": ("training", key) for key in ("references", "shadows", "pipelines")}
    | {key: ("training", key) for key in ("max_references", "store")}
    | {key: ("", key) for key in ("policy", "seed", "device", "out", "batch_size")}
)
SECTIONS = ("data", "model", "recipe", "training", "claim", "certificate")


def resolve(flags: dict[str, Any], config_file: Path | None = None) -> tuple[Config, dict[str, str]]:
    """Merge flags, environment, file and discovery.

    Args:
        flags: option name (as in ``OPTIONS``) -> value; None or empty = not given.
        config_file: an explicit ``audit.toml``; else the one in the working directory or beside the forget set.

    Returns:
        the configuration with absolute paths, and where each option came from.

    Raises:
        UsageError: unknown keys, wrong values, or an unreadable file.
    """
    given = {name: value for name, value in flags.items() if value is not None and value is not False}
    given = {name: value for name, value in given.items() if value not in ([], ())}  # 0 is a value
    origin = dict.fromkeys(given, "flag")
    for name in OPTIONS:
        variable = os.environ.get(f"AUDIT_{name.upper()}")
        if name not in given and variable:
            given[name] = variable.split(os.pathsep) if name in ("retrained", "runs") else variable
            origin[name] = f"AUDIT_{name.upper()}"
    base = Path.cwd()
    path = config_file or _find_config(given.get("forget"))
    document = _read_toml(path) if path else {}
    if path:
        origin |= {name: path.name for name, where in OPTIONS.items() if name not in given and _has(document, where)}
        _make_absolute(document, path.resolve().parent)
    for name, value in given.items():
        section, key = OPTIONS[name]
        target = document.setdefault(section, {}) if section else document
        target[key] = _absolute(value, base) if name in _PATHS else value
    _discover(document, origin)
    try:
        return Config.model_validate(document), origin
    except ValidationError as error:
        raise UsageError(
            "configuration:\n  " + "\n  ".join(wrong_values(error)) + "\nSee `audit init` for every key."
        ) from None


_PATHS = {*DATA_ROLES, "original", "unlearned", "retrained", "runs", "out", "sign_key", "ledger", "store"}


def _find_config(forget: Any) -> Path | None:
    places = [Path.cwd()] + ([Path(str(forget)).resolve().parent] if forget else [])
    return next((place / CONFIG_NAME for place in places if (place / CONFIG_NAME).is_file()), None)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path} ({error.strerror}): `audit init` writes one.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is no valid TOML ({error}): correct it.") from None
    for section in SECTIONS:
        if not isinstance(document.get(section, {}), dict):
            raise UsageError(f"{path}: {section} must be a table [{section}]. See `audit init` for every key.")
    forget = document.get("data", {}).get("forget", "")
    if not isinstance(forget, str):
        raise UsageError(f"{path}: data.forget must be one path in quotes, got {forget!r}.")
    return document


def _has(document: dict[str, Any], where: tuple[str, str]) -> bool:
    section, key = where
    return key in (document.get(section, {}) if section else document)


def _absolute(value: Any, base: Path) -> Any:
    if isinstance(value, list | tuple):
        return [_absolute(item, base) for item in value]
    return str(base / str(value))


def _make_absolute(document: dict[str, Any], base: Path) -> None:
    for name in _PATHS:
        section, key = OPTIONS[name]
        table = document.get(section) if section else document
        if isinstance(table, dict) and key in table:
            table[key] = _absolute(table[key], base)
    policy = document.get("policy")
    if isinstance(policy, str) and policy.endswith(".toml"):
        document["policy"] = str(base / policy)


def _discover(document: dict[str, Any], origin: dict[str, str]) -> None:
    """Fill in what lies beside the forget set under the standard names."""
    data, model = document.setdefault("data", {}), document.setdefault("model", {})
    if not isinstance(data, dict) or not isinstance(model, dict) or "forget" not in data:
        return
    folder = Path(data["forget"]).parent
    for role in DATA_ROLES[1:]:
        if role not in data and (folder / f"{role}.npz").is_file():
            data[role], origin[role] = str(folder / f"{role}.npz"), "found beside the forget set"
    suffixes = TORCH_SUFFIXES + OUTPUT_SUFFIXES
    for role in ("original", "unlearned"):
        found = [folder / f"{role}{s}" for s in suffixes if (folder / f"{role}{s}").is_file()]
        if role not in model and found:
            model[role], origin[role] = str(found[0]), "found beside the forget set"
    found = sorted(p for p in folder.glob("retrained*") if p.suffix in suffixes) if folder.is_dir() else []
    if not model.get("retrained") and found:
        model["retrained"], origin["retrained"] = [str(p) for p in found], "found beside the forget set"
