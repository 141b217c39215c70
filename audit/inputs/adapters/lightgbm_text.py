"""LightGBM's text format, looked through before the library reads it, which ends the process where it is damaged."""

from __future__ import annotations

import numpy as np

from .trees import walkable, within

MOST_CLASSES = 100_000  # our choice: wider outputs are no classification that is audited here
FIRST = "Tree=0\n"
ONE_A_SPLIT = ("split_feature", "threshold", "decision_type", "left_child", "right_child")

Fields = dict[str, str]


def sound(text: str) -> bool:
    """Whether the trees stand where the header says, and lead to leaves and columns that are there.

    Args:
        text: of the file, one character a byte.
    """
    start = text.find(FIRST)
    if start < 0:
        return False
    header = _fields(text[:start])
    classes, columns = int(header["num_class"]), int(header["max_feature_idx"]) + 1
    if not 0 < int(header["num_tree_per_iteration"]) <= classes <= MOST_CLASSES:
        return False
    for number, size in enumerate(map(int, header["tree_sizes"].split())):
        block = text[start : start + size]
        if size <= 0 or len(block) < size or not block.startswith(f"Tree={number}\n"):
            return False
        if not _sound_tree(_fields(block), columns):
            return False
        start += size
    return text[start:].lstrip().startswith("end of trees")


def _fields(block: str) -> Fields:
    return dict(line.split("=", 1) for line in block.split("\n") if "=" in line)


def _sound_tree(tree: Fields, columns: int) -> bool:
    leaves = int(tree["num_leaves"])
    if int(tree.get("is_linear", "0")) or len(tree["leaf_value"].split()) != leaves:
        return False
    if leaves == 1:  # one leaf, no split
        return True
    splits = {name: np.array(tree[name].split(), dtype=np.float64) for name in ONE_A_SPLIT}
    if any(len(values) != leaves - 1 for values in splits.values()):
        return False
    left, right = (splits[f"{side}_child"].astype(np.int64) for side in ("left", "right"))
    ends = -1 - np.concatenate([left[left < 0], right[right < 0]])
    return (
        walkable(left, right)
        and within(ends, leaves)
        and within(splits["split_feature"], columns)
        and _sound_categories(tree, splits["threshold"][splits["decision_type"].astype(np.int64) % 2 == 1])
    )


def _sound_categories(tree: Fields, chosen: np.ndarray[tuple[int], np.dtype[np.float64]]) -> bool:
    """Whether the sets of categories that splits name are there."""
    count = int(tree.get("num_cat", "0"))
    if not count:
        return len(chosen) == 0
    bounds = np.array(tree["cat_boundaries"].split(), dtype=np.int64)
    ends_well = len(bounds) == count + 1 and bounds[0] == 0 and bounds[-1] == len(tree["cat_threshold"].split())
    return bool(ends_well and (np.diff(bounds) >= 0).all()) and within(chosen, count)
