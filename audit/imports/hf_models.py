"""Causal language models of Hugging Face, asked for texts: folders on this disk, safetensors, no code of theirs.

Each answer is judged after its prompt: log-probabilities of its tokens in one forward pass a set, and the greedy
continuation of the prompt, as long as the text. A text without a prompt is continued from its first half of tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from audit.errors import CouldNotRun
from audit.inputs.device import full_precision
from audit.inputs.naming import listed
from audit.record.digest import sha256_path

from .causal import log_probabilities
from .continuation import extraction
from .layout import Layout, Log
from .texts import FILES, OWN, Text, finite, read_texts, rows_of


class HuggingFace(Layout):
    """A folder a model; sets are files of texts."""

    global_ids = True
    name = "hf"
    words = "folder of save_pretrained with its tokenizer (causal language model, safetensors; extra hf)"
    sets: ClassVar = FILES
    meaning = "file of texts, a line each: id, text, optional prompt, paraphrase, perturbed"

    def __init__(self, device: str = "cpu") -> None:
        self._device = device

    def read(self, source: str, names: Mapping[str, str], group_key: str | None) -> Log:
        """Ask the model for every set."""
        log = Log(own=dict(OWN))
        model, tokenizer = _load(Path(source), self._device)
        for role, name in names.items():
            texts = read_texts(Path(name), role, log, group_key)
            pairs = [_tokens(tokenizer, text, answer, model) for text in texts for answer in text.answers]
            with full_precision():
                flat = log_probabilities(
                    lambda tokens, mask: (
                        model(input_ids=tokens.to(model.device), attention_mask=mask.to(model.device)).logits
                    ),
                    [row for row, _ in pairs],
                    [begin for _, begin in pairs],
                    model.config.vocab_size,
                )
            for i, one in enumerate(flat):
                finite(one.logprobs, f"{source}: {role}, answer {i}")
            taken = iter(zip(pairs, flat, strict=True))
            own = [[next(taken) for _ in text.answers] for text in texts]
            with full_precision():
                said = extraction(model, tokenizer, [row[0][0] for row in own])
            log.sets[role] = rows_of(texts, [[one for _, one in row] for row in own], said)
            exact = sum(same for _, same in said)
            log.said.append(f"{Path(source).name} continues {exact} of {len(texts)} {role} texts word for word")
        log.keep(Path(source).resolve().name, sha256_path(Path(source)))
        return log


def device_of(name: str) -> str:
    """The device that is meant; ``auto`` = a GPU where torch can use one. Raises ValueError, with the remedy."""
    import torch

    from audit.inputs.models import check_device

    device = ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name
    check_device(device)
    return device


def _load(path: Path, device: str) -> tuple[Any, Any]:
    if not path.is_dir():
        raise ValueError(f"{path} is no folder: name the one that save_pretrained wrote, on this disk")
    try:
        import transformers
    except ImportError:
        raise CouldNotRun("language models need transformers: pip install 'unlearn-audit[hf]'.") from None
    hf: Any = transformers
    safe = {"local_files_only": True, "trust_remote_code": False}
    try:
        if (path / "adapter_config.json").exists():
            raise ValueError("it is an adapter to weights elsewhere: merge it (merge_and_unload) first")
        tokenizer = hf.AutoTokenizer.from_pretrained(path, **safe)
        model, told = hf.AutoModelForCausalLM.from_pretrained(
            path, use_safetensors=True, output_loading_info=True, **safe
        )
        wrong = [str(key) for what in ("missing", "unexpected", "mismatched") for key in told[f"{what}_keys"]]
        if wrong:  # a layer without weights would be drawn at random: a model that forgot it all
            raise ValueError(f"its weights are not those of its config.json: {listed(sorted(wrong))}")
    except Exception as error:  # noqa: BLE001 - the library raises many types
        text = (str(error).splitlines() or [""])[0][:200]
        raise ValueError(
            f"{path} cannot be loaded ({text}): save model and tokenizer there with save_pretrained"
        ) from None
    # none of the folder's: penalties and banned tokens there would hide what the model continues
    model.generation_config = hf.GenerationConfig(
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id
    )
    model.train(mode=False)
    return model.to(device), tokenizer


def _tokens(tokenizer: Any, text: Text, answer: str, model: Any) -> tuple[list[int], int]:
    """Tokens of prompt and answer, and where the answer begins."""
    before = list(tokenizer(text.prompt)["input_ids"]) if text.prompt else []
    if not before and tokenizer.bos_token_id is not None:
        before = [tokenizer.bos_token_id]
    own = list(tokenizer(f" {answer}" if text.prompt else answer, add_special_tokens=False)["input_ids"])
    begin = len(before) or 1
    most = getattr(model.config, "max_position_embeddings", None)
    if len(before) + len(own) <= begin or (most and len(before) + len(own) > most):
        allowed = f"2 to {most}" if most else "2 or more"
        raise ValueError(f"row {text.key!r} has {len(before) + len(own)} tokens, {allowed} will do: divide the text")
    return [*before, *own], begin
