"""Memory that runs out: how it is told from other errors, and how what is held for nothing is given back."""

from __future__ import annotations

import gc
import sys

OUT_OF_MEMORY = ("can't allocate memory", "out of memory", "not enough memory")  # torch's words on CPU and GPU


def is_out_of_memory(error: BaseException) -> bool:
    """Did torch or Python run out of memory?"""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error).lower() for words in OUT_OF_MEMORY)
    )


def give_back() -> None:
    """Free what a failed attempt left: tensors in cycles of its frames, and the blocks that a GPU's allocator keeps.

    Call it outside the ``except`` block, whose error holds the frames.
    """
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
