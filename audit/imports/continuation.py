"""What a causal language model goes on with: greedy continuations of prompts, in batches of prompts of one length.

No prompt is padded, so a row comes to what it would alone (up to rounding, which decides where two tokens are as
likely). Memory is bounded as that of log-probabilities is: by the longest row of a batch, in logits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attacks.scorers.tokens import rouge_l

from .causal import batches


def extraction(model: Any, tokenizer: Any, rows: Sequence[tuple[list[int], int]]) -> list[tuple[float, bool]]:
    """Of each row, ROUGE-L of the continuation of its prompt, and whether it is the text token for token.

    Args:
        model: of `transformers`, on its device.
        tokenizer: its tokenizer.
        rows: tokens of prompt and text, and where the text begins; one without a prompt is continued from its first
            half.
    """
    starts = [begin if begin > 1 else max(1, len(row) // 2) for row, begin in rows]
    found: dict[int, list[int]] = {}
    for start in sorted(set(starts)):
        alike = [i for i, own in enumerate(starts) if own == start]
        for batch in batches([len(rows[i][0]) for i in alike], model.config.vocab_size):
            chosen = [alike[k] for k in batch]
            found |= zip(chosen, _greedy(model, tokenizer, [rows[i][0] for i in chosen], start), strict=True)
    judged = []
    for i, (row, _) in enumerate(rows):
        text = row[starts[i] :]
        words, true = (tokenizer.decode(part, skip_special_tokens=True) for part in (found[i], text))
        judged.append((rouge_l(words, true), found[i] == text))
    return judged


def _greedy(model: Any, tokenizer: Any, rows: Sequence[Sequence[int]], start: int) -> list[list[int]]:
    """Continuation of the first ``start`` tokens of each row, as long as the row, or to the end that the model sets."""
    import torch

    asked = torch.tensor([list(row[:start]) for row in rows], device=model.device)
    with torch.no_grad():
        said = model.generate(
            asked,
            attention_mask=torch.ones_like(asked),
            max_new_tokens=max(len(row) for row in rows) - start,
            do_sample=False,
            num_beams=1,
            pad_token_id=tokenizer.pad_token_id or tokenizer.eos_token_id or 0,
        )[:, start:].tolist()
    return [_ended(one[: len(row) - start], tokenizer.eos_token_id) for one, row in zip(said, rows, strict=True)]


def _ended(tokens: list[int], end: int | None) -> list[int]:
    """Tokens to the end of the text: what follows it is filled in while other rows of the batch go on."""
    return tokens[: tokens.index(end) + 1] if end in tokens else tokens
