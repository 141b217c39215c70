"""Hugging Face folders of classifiers and causal language models: config.json and safetensors alone (extra ``hf``).

The network is built from the configuration by the installed library and gets the weights that were read here: no code
of the folder's runs, and nothing is asked of the network.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit.inputs.archive import Unsound, check_header
from audit.inputs.naming import listed, shown
from audit.inputs.state import check_network, check_values
from audit.inputs.usercode import describe
from audit.record.digest import folder_digest
from audit.record.readonce import read_once

from .formats import library

if TYPE_CHECKING:
    import torch

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
TASKS = {
    "ForSequenceClassification": "AutoModelForSequenceClassification",
    "ForImageClassification": "AutoModelForImageClassification",
}
CAUSAL = {"ForCausalLM": "AutoModelForCausalLM", "LMHeadModel": "AutoModelForCausalLM"}
#: keys of a configuration that ask for code or files from elsewhere, or for a network that is not plain
ELSEWHERE = ("auto_map", "quantization_config", "backbone", "use_timm_backbone", "custom_pipelines", "adapter_config")
COUNTED = ("layer", "depth", "block", "expert", "stage", "num_labels")  # parts of the names of counts
MOST_CLASSES = 100_000  # our choice
SPARE = 10_000_000  # our choice: weights that a configuration may describe beyond those of the files


def load(path: Path, *, causal: bool = False) -> tuple[torch.nn.Module, str]:
    """The network with the weights of the folder, in eval mode, and the folder's digest.

    Args:
        path: the folder.
        causal: a causal language model is wanted, else a classifier.

    Raises:
        ValueError: with the remedy.
    """
    content = _contents(path)
    config = _config(path, content[CONFIG])
    weights = _weights(path, {name: part for name, part in content.items() if name != CONFIG})
    known = {name: hashlib.sha256(part).hexdigest() for name, part in content.items()}
    module = _filled(path, _described(path, config, weights, CAUSAL if causal else TASKS), weights)
    check_network(str(path), module)
    check_values(str(path), module.state_dict())
    return module, folder_digest(path, known)


def _contents(path: Path) -> dict[str, bytes]:
    """The bytes of each file that counts, read once."""
    names = [CONFIG, WEIGHTS]
    if (path / INDEX).is_file():
        try:
            shards = sorted(set(json.loads(read_once(path / INDEX))["weight_map"].values()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path}/{INDEX} is no readable list of files ({describe(error)}): save again") from None
        odd = [str(name) for name in shards if not isinstance(name, str) or Path(name).name != name]
        if odd:
            raise ValueError(f"{path}/{INDEX} names files outside the folder ({listed(odd)}): save the model again")
        names = [CONFIG, INDEX, *shards]
    elif not (path / WEIGHTS).is_file():
        raise ValueError(f"{path} has no {WEIGHTS}: save it with model.save_pretrained (safetensors)")
    try:
        return {name: read_once(path / name) for name in names}
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}): save the model again") from None


def _config(path: Path, content: bytes) -> dict[str, Any]:
    try:
        config = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}/{CONFIG} is no JSON ({describe(error)}): save the model again") from None
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        raise ValueError(f"{path}/{CONFIG} names no model_type: save the model with save_pretrained")
    asked = [key for key in ELSEWHERE if config.get(key)]
    if asked:
        raise ValueError(
            f"{path}/{CONFIG} asks for code, files or a network from elsewhere ({listed(asked)}), which is never "
            "loaded: name a function of yours that builds the network (--arch), or that asks it (--predict)"
        )
    return config


def _weights(path: Path, files: dict[str, bytes]) -> dict[str, Any]:
    from safetensors.torch import load

    found: dict[str, Any] = {}
    for name, content in files.items():
        if name == INDEX:
            continue
        try:
            check_header(content)
            part = load(content)
        except Unsound as error:
            raise ValueError(f"{path}/{name} {error}") from None
        except Exception as error:  # noqa: BLE001 - the library raises several types
            raise ValueError(f"{path}/{name} is no readable safetensors file ({describe(error)})") from None
        twice = [key for key in part if key in found]
        if twice:
            raise ValueError(f"{path} holds {listed(twice)} in two files: save the model again")
        found |= part
    return found


def _described(path: Path, config: dict[str, Any], weights: dict[str, Any], tasks: dict[str, str]) -> torch.nn.Module:
    """The network that a configuration describes, without memory for weights, once it fits the files."""
    import torch

    os.environ["HF_HUB_OFFLINE"] = "1"  # before it is imported: nothing is asked of the network
    transformers = library("transformers", "hf", path)
    names = config.get("architectures") or [""]
    name = str(names[0])
    task = next((tasks[end] for end in tasks if name.endswith(end)), None)
    if task is None:
        hint = "; language models with --task causal-lm" if name.endswith(tuple(CAUSAL)) else ""
        kinds = "causal language models" if tasks is CAUSAL else "classifiers of text and of images"
        raise ValueError(
            f"{path} holds a {shown(name or 'model of no named architecture')}: {kinds} are audited "
            f"({', '.join(f'*{end}' for end in tasks)}){hint}"
        )
    layers = [f"{key} = {value}" for key, value in config.items() if _too_many(key, value, len(weights))]
    if layers:
        raise ValueError(f"{path}/{CONFIG} describes more than its files hold ({listed(layers)}): save it again")
    auto = getattr(transformers, task)
    held = sum(value.numel() for value in weights.values())
    try:
        settings = {key: value for key, value in config.items() if key not in ("model_type", "transformers_version")}
        described = transformers.AutoConfig.for_model(config["model_type"], **settings)
        odd = described.problem_type in ("regression", "multi_label_classification") or described.num_labels < 2
        if odd and tasks is TASKS:
            raise ValueError("it predicts no single class of two or more: regression and many labels are not audited")
        if tasks is CAUSAL:
            described.use_cache = False  # keys and values of tokens: nothing is continued here
        with torch.device("meta"):
            module: torch.nn.Module = auto.from_config(described, attn_implementation="eager")
        size = sum(p.numel() for p in module.parameters())
        if size > 2 * held + SPARE:
            raise ValueError(f"it describes a network of {size} weights, its files hold {held}")
    except Exception as error:  # noqa: BLE001 - the library raises many types on odd configurations
        raise ValueError(f"{path}/{CONFIG} cannot be used ({describe(error)}): save the model again") from None
    return module


def _filled(path: Path, empty: Any, weights: dict[str, Any]) -> torch.nn.Module:
    """The network with the weights. The library itself loads them, for it has renamed some since they were saved."""
    transformers = library("transformers", "hf", path)
    transformers.logging.set_verbosity(transformers.logging.CRITICAL)  # what does not fit is said below
    transformers.logging.disable_progress_bar()
    try:
        module, told = type(empty).from_pretrained(
            None,
            config=empty.config,
            state_dict=dict(weights),
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            local_files_only=True,
            attn_implementation="eager",
        )
    except Exception as error:  # noqa: BLE001 - the library raises many types
        raise ValueError(f"{path} cannot be loaded ({describe(error)}): save the model again") from None
    found = {what: sorted(map(str, told[f"{what}_keys"])) for what in ("missing", "unexpected", "mismatched")}
    wrong = [f"{what} keys {listed(names, 4)}" for what, names in found.items() if names]
    if wrong:
        raise ValueError(f"{path} holds other weights than its {CONFIG} describes: {'; '.join(wrong)}. Save it again")
    return module.eval()  # type: ignore[no-any-return]  # a module of the library's


def _too_many(key: str, value: Any, tensors: int) -> bool:
    """A count of layers, or of classes, that no file of so many tensors has: building it would take for ever."""
    counts = [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, int)]
    most = MOST_CLASSES if key in ("num_labels", "_num_labels") else tensors
    return any(part in key for part in COUNTED) and any(count > most for count in counts)
