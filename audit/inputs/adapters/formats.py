"""Which model file is which: suffixes, who loads them, and what is not loaded, with the reason. Imports no library."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

TORCH_SUFFIXES = (".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".pth.tar", ".pt.tar")
OUTPUT_SUFFIXES = (".npz",)
#: suffix -> file of this package that loads it
ADAPTERS = {
    ".skops": "sklearn_model",
    ".ubj": "xgboost_model",
    ".json": "xgboost_model",
    ".txt": "lightgbm_model",
    ".onnx": "onnx_model",
}
#: found by themselves under the standard names
FOUND = (*TORCH_SUFFIXES, *OUTPUT_SUFFIXES, ".skops", ".ubj", ".onnx")
#: may be anything, notes on a model for one: found under an exact standard name where nothing else is
AMBIGUOUS = (".json", ".txt")
#: suffix -> why it is not loaded, and what to give instead
REFUSED = {
    **dict.fromkeys(
        (".pkl", ".pickle", ".joblib", ".dill"),
        "is a pickle, and loading it would run code from it: save a scikit-learn model with skops.io.dump (.skops), "
        "weights with torch.save(model.state_dict(), ...), or name a function of yours that loads it (--predict)",
    ),
    ".pt2": "is a torch.export program, which torch unpickles without restriction (weights_only=False) wherever the "
    "archive says so: export the model as ONNX with torch.onnx.export, save its state dict, or name a function of "
    "yours that loads it (--predict)",
    **dict.fromkeys(
        (".h5", ".keras", ".pb", ".tflite", ".cbm", ".gguf", ".mlmodel"),
        "is a format that is not read: export the model as ONNX, name a function of yours that loads it (--predict), "
        "or give its logits as .npz",
    ),
}
#: what to give of a model that is no classifier
OTHERWISE = (
    "of a regressor give its predictions by set (.npz) or a function that asks it (--predict), with --task regression"
)
KNOWN = "a torch checkpoint (.safetensors, .pt, .pth, .ckpt, .bin), .skops, .ubj or .json (xgboost), .txt (LightGBM), "
KNOWN += ".onnx, a Hugging Face folder, or .npz with logits"


def suffix_of(path: Path) -> str:
    """The suffix that says what a model file is, in lower case: ``.pth.tar`` is one."""
    whole = "".join(path.suffixes[-2:]).lower()
    return whole if whole in TORCH_SUFFIXES else path.suffix.lower()


def is_folder(path: Path) -> bool:
    """A folder as Hugging Face saves a model."""
    return (path / "config.json").is_file()


def is_network(path: Path) -> bool:
    """A file or folder that is loaded as a network, whose features and weights can be had."""
    return suffix_of(path) in TORCH_SUFFIXES or is_folder(path)


def refuse_unknown(path: Path) -> None:
    """Refuse what no adapter loads.

    Raises:
        ValueError: with the remedy.
    """
    suffix = suffix_of(path)
    if suffix in REFUSED:
        raise ValueError(f"{path} {REFUSED[suffix]}")
    if suffix not in (*TORCH_SUFFIXES, *OUTPUT_SUFFIXES, *ADAPTERS):
        raise ValueError(f"{path}: unknown model format: use {KNOWN}; for anything else name a --predict function")


def library(name: str, extra: str, path: Path) -> Any:
    """A library that is needed for one format alone.

    Raises:
        ValueError: it is not installed; the message says how it is.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        missing = (error.name or name).partition(".")[0]
        if missing != name.partition(".")[0]:
            raise
        raise ValueError(
            f"{path} needs {missing}, which is not installed: pip install 'unlearn-audit[{extra}]'"
        ) from None


def adapter(path: Path) -> Any:
    """The file of this package that loads such a model."""
    return importlib.import_module(f"{__package__}.{ADAPTERS[suffix_of(path)]}")


def as_table(inputs: Any, kind: str) -> Any:
    """Inputs as the (rows, columns) that models of tables take.

    Raises:
        ValueError: inputs of another form.
    """
    if getattr(inputs, "ndim", 0) != 2:
        what = f"of shape {inputs.shape[1:]} a row" if hasattr(inputs, "shape") else f"with names ({', '.join(inputs)})"
        raise ValueError(f"{kind} takes one array x of (rows, columns), these inputs are {what}: flatten them")
    return inputs
