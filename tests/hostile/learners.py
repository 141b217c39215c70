"""Hostile models of other libraries: skops archives, boosters in JSON and UBJSON, LightGBM's text, ONNX graphs."""

from __future__ import annotations

import io
import json
import random
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from . import damage
from .arrays import HUGE
from .cases import Case, Family, Place, audit, swapped

SUFFIXES = ("skops", "ubj", "json", "txt", "onnx")


def build(folder: Path, x: Any, y: Any) -> None:
    """One sound model a format, each written by its own library."""
    import lightgbm
    from cases.small_models import booster, onnx_linear, skops_file
    from sklearn.ensemble import RandomForestClassifier

    skops_file(folder / "other.skops", RandomForestClassifier(3, max_depth=3, random_state=0).fit(x, y))
    for suffix in ("ubj", "json"):
        booster(x, y, rounds=2).save_model(folder / f"other.{suffix}")
    settings = {"objective": "multiclass", "num_class": 3, "min_data_in_leaf": 1, "verbose": -1, "num_threads": 1}
    lightgbm.train(settings, lightgbm.Dataset(x, y), 2).save_model(folder / "other.txt")
    onnx_linear(folder / "other.onnx", np.eye(3, x.shape[1]), np.zeros(3))


def _case(place: Place, family: str, suffix: str, content: bytes) -> Case:
    path = place.write(f"other.{suffix}", content)
    arguments = swapped(audit(place), "--unlearned", str(path))
    return Case(f"{suffix}/{family}", arguments, "other|unlearned", zero="plain")


def damaged(place: Place) -> Case:
    """Bytes of a model are not what they were."""
    suffix = place.random.choice(SUFFIXES)
    how = place.random.choice(damage.DAMAGES)
    return _case(place, how.__name__, suffix, how(place.bytes_of(f"other.{suffix}"), place.random))


# --- files that say what is not so


def _numbers(content: bytes, chance: random.Random) -> bytes:
    """A number of a text is another one: a child, a column, a count, a length."""
    found = list(re.finditer(rb"-?\d+(\.\d+)?", content))
    for match in sorted(chance.sample(found, chance.choice((1, 1, 2, 5))), key=lambda m: -m.start()):
        value = str(chance.choice((*HUGE, -1, 0, 1, -(2**31), 7, "nan", 1e308))).encode()
        content = content[: match.start()] + value + content[match.end() :]
    return content


def _words(content: bytes, chance: random.Random) -> bytes:
    """A name of a text is another one."""
    match = chance.choice(list(re.finditer(rb"[a-z_]{4,}", content)))
    word = chance.choice((b"", b"x" * 3000, b"os.system", "\u202e".encode(), b"null", b"\x00", b'"', b"../../x"))
    return content[: match.start()] + word + content[match.end() :]


def _tree(content: bytes, chance: random.Random) -> bytes:
    """A part of a JSON document has another type, or is gone."""
    document = json.loads(content)
    part: Any = document
    while True:
        key = chance.choice(list(part) if isinstance(part, dict) else range(len(part)))
        if not isinstance(part[key], (dict, list)) or not part[key] or chance.random() < 0.2:
            break
        part = part[key]
    if chance.random() < 0.2:
        del part[key]
    else:
        part[key] = chance.choice((None, -1, 2**40, "x", [], {}, [2**31] * 5, {"a": {}}, "9" * 400, True, 1.5))
    return json.dumps(document).encode()


def _skops(content: bytes, chance: random.Random) -> bytes:
    """The schema of the archive names another type, or a member that is not there."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    schema = members["schema.json"]
    odd = chance.choice(("type", "type", "tree", "numbers", "members", "bomb"))
    if odd == "type":
        modules = list(re.finditer(rb'"__module__": "[^"]+"', schema))
        match = chance.choice(modules)
        name = chance.choice((b"os", b"builtins", b"posix", b"subprocess", b"sklearn.utils", b"gone", b"", b"tests"))
        schema = schema[: match.start()] + b'"__module__": "' + name + b'"' + schema[match.end() :]
        kinds = list(re.finditer(rb'"__class__": "[^"]+"', schema))
        match = chance.choice(kinds)
        kind = chance.choice((b"system", b"eval", b"Popen", b"RandomForestClassifier", b"__import__", b"exec"))
        schema = schema[: match.start()] + b'"__class__": "' + kind + b'"' + schema[match.end() :]
    elif odd == "tree":
        schema = _tree(schema, chance)
    elif odd == "numbers":
        schema = _numbers(schema, chance)
    elif odd == "members":
        members.pop(chance.choice([name for name in members if name != "schema.json"]))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in (members | {"schema.json": schema}).items():
            archive.writestr(name, value)
        if odd == "bomb":
            archive.writestr("more.npy", bytes(300_000_000))
    return stream.getvalue()


def _onnx(content: bytes, chance: random.Random) -> bytes:
    """Shapes that are not so, tensors in other files, operators that are none, a graph that feeds itself."""
    import onnx

    model = onnx.load_model_from_string(content)
    weight, node = model.graph.initializer[0], model.graph.node[0]
    odd = chance.choice(("shape", "outside", "operator", "circle", "type", "output", "domain", "constant"))
    if odd == "shape":
        weight.dims[:] = chance.choice(([2**40], [-1], [3, 2**62], [0], [], [2**32, 2**32], [5, 3]))
    elif odd == "outside":
        weight.data_location = onnx.TensorProto.EXTERNAL
        entry = weight.external_data.add()
        entry.key, entry.value = "location", chance.choice(("/etc/passwd", "../forget.npz", "/dev/zero", ""))
    elif odd == "operator":
        node.op_type = chance.choice(("Loop", "", "System", "\x1b[31m", "If", "StringNormalizer"))
    elif odd == "circle":
        node.input[0] = node.output[0]
    elif odd == "type":
        weight.data_type = chance.choice((0, 8, 99, 16, 7))
    elif odd == "output":
        model.graph.output[0].name = chance.choice(("gone", "x", ""))
    elif odd == "domain":
        node.domain = "com.evil"
    else:  # a graph of a few bytes that asks for terabytes
        shape = onnx.numpy_helper.from_array(np.array([2**21, 2**21], np.int64), "huge")
        model.graph.initializer.append(shape)
        model.graph.node.insert(0, onnx.helper.make_node("ConstantOfShape", ["huge"], ["w2"]))
        node.input[1] = "w2"
    found: bytes = model.SerializeToString()
    return found


LIES: dict[str, tuple[Callable[[bytes, random.Random], bytes], ...]] = {
    "skops": (_skops,),
    "json": (_numbers, _tree, _words),
    "txt": (_numbers, _words),
    "onnx": (_onnx,),
}


def lying(place: Place) -> Case:
    """A file of the format that says what is not so."""
    suffix = place.random.choice(list(LIES))
    how = place.random.choice(LIES[suffix])
    return _case(place, f"lying {how.__name__}", suffix, how(place.bytes_of(f"other.{suffix}"), place.random))


FAMILIES: tuple[Family, ...] = (damaged, lying)
