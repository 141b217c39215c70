"""Hostile model files: headers of safetensors, pickles and archives of torch, and tensors that are no weights."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import torch

from .archives import added, members_of, packed, zeros
from .arrays import HUGE
from .cases import MODELS, Case, Family, Place, Zero, audit, swapped


def _case(place: Place, family: str, suffix: str, content: bytes, zero: Zero = "never", *more: str) -> Case:
    name = place.random.choice(MODELS)
    path = place.write(f"{name}{suffix}", content)
    arguments = swapped(audit(place, *more), f"--{name.partition('-')[0]}", str(path))
    return Case(f"{suffix[1:]}/{family}", arguments, name.partition("-")[0], zero=zero)


def split(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and values of a safetensors file."""
    (size,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def joined(text: bytes, values: bytes, size: int | None = None) -> bytes:
    return struct.pack("<Q", len(text) if size is None else size) + text + values


def safetensors_entry(place: Place) -> Case:
    """One entry of the header says what is not so."""
    chance = place.random
    document, values = split(place.bytes_of("unlearned.safetensors"))
    entry = document[chance.choice([key for key in document if key != "__metadata__"])]
    key = chance.choice(("dtype", "shape", "data_offsets"))
    entry[key] = chance.choice(
        {
            "dtype": ("F8_E4M3", "F8_E5M2", "C64", "I32", "F16", "BOOL", "U16", "F4", "OBJ", "", None, 7, "f32"),
            "shape": (
                [],
                [-1],
                [chance.choice(HUGE)],
                [2**33, 2**33],
                [0, 10**18],
                None,
                "8",
                [[8]],
                [8.0],
                [10] * 500,
            ),
            "data_offsets": ([0, 0], [0, chance.choice(HUGE)], [8, 4], [-4, 4], None, [0], [0, 4, 8], ["0", "4"]),
        }[key]
    )
    return _case(place, f"entry {key}", ".safetensors", joined(json.dumps(document).encode(), values))


def safetensors_header(place: Place) -> Case:
    """The header as a whole is hostile."""
    chance = place.random
    document, values = split(place.bytes_of("unlearned.safetensors"))
    text, name = json.dumps(document), next(iter(document))
    entry = json.dumps({name: document[name]})[1:-1]
    sized = chance.choice((None, 0, 1, 10**9, 2**63, 2**64 - 1))
    made = chance.choice(
        (
            *(("{" + entry + "," + text[1:], None), ("{" + entry * 2 + "}", None), (text[:-1], None), ("[]", None)),
            *(("", None), ("null", None), ("[" * 50000, None), ('{"a":' * 50000, None), (text, sized), ("{}", None)),
            ("{" + "".join(f'"k{i}": {json.dumps(document[name])},' for i in range(3000)) + text[1:], None),
            (text.replace("0.weight", "0\\u001b[2J.weight"), None),
            (text.replace("0.weight", "\\ud800"), None),
            (text.replace("0.weight", "w" * 100000), None),
        )
    )
    size = made[1] if made[1] is not None or made[0] is not text else chance.choice((1, 10**9, 2**64 - 1))
    return _case(place, "header", ".safetensors", joined(made[0].encode(), values, size))


class Payload:
    """Runs a command where it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch canary",)


def saved(value: Any, *, archive: bool = True) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream, _use_new_zipfile_serialization=archive)
    return stream.getvalue()


def _with(change: Callable[[torch.Tensor], Any]) -> Callable[[dict[str, Any]], Any]:
    return lambda state: {**state, "0.weight": change(state["0.weight"])}


def _nested(depth: int) -> Any:
    value: Any = torch.zeros(1)
    for _ in range(depth):
        value = {"state_dict": value}
    return value


STATES: tuple[Callable[[dict[str, Any]], Any], ...] = (
    *(_with(lambda v: v * torch.nan), _with(lambda v: v.double() * 1e300), _with(lambda v: v.to(torch.complex64))),
    *(_with(lambda v: v.to(torch.int8)), _with(lambda v: v.to(torch.float8_e5m2)), _with(lambda v: v.to_sparse())),
    *(_with(lambda v: v.to("meta")), _with(lambda v: v.to_sparse_csr()), _with(lambda v: v[:1]), _with(lambda v: None)),
    *(
        _with(lambda v: 3),
        _with(lambda v: [v]),
        _with(lambda v: {"a": v}),
        _with(lambda v: v[:0]),
        _with(lambda v: "x"),
    ),
    _with(lambda v: torch.quantize_per_tensor(v, 0.1, 0, torch.qint8)),
    _with(lambda v: torch.zeros(1, dtype=v.dtype).expand(10**9)),
    _with(lambda v: torch.nn.parameter.UninitializedParameter()),
    lambda s: {},
    lambda s: [],
    lambda s: None,
    lambda s: 3,
    lambda s: "weights",
    lambda s: torch.zeros(3),
    lambda s: {"state_dict": {}},
    lambda s: {"state_dict": s, "ema": s},
    lambda s: {"state_dict": 3, "epoch": 1},
    lambda s: {f"module.{k}": v for k, v in s.items() if k != "0.bias"},
    lambda s: {**s, "0.weight_orig": s["0.weight"]},
    lambda s: {**s, 3: s["0.weight"]},
    lambda s: {**s, ("0", "weight"): s["0.weight"]},
    lambda s: {**s, "a\x1b[2J\nb": s["0.weight"]},
    lambda s: {**s, "k" * 10**5: s["0.weight"]},
    lambda s: {f"k{i}": torch.zeros(1) for i in range(2000)},
    lambda s: {**s, "_extra_state": {"a": 1}},
    lambda s: _nested(3),
    lambda s: _nested(200),
    lambda s: {**s, "1.running_var": s["1.running_var"] * torch.inf},
    lambda s: {**s, "1.num_batches_tracked": torch.tensor(0.5)},
)


def states(place: Place) -> Case:
    """A file of torch's own making that holds no weights of this network."""
    number = place.random.randrange(len(STATES))
    state = torch.load(io.BytesIO(place.bytes_of("unlearned.pt")), weights_only=True)
    content = saved(STATES[number](dict(state)), archive=number % 2 == 0 or number in (4, 13))
    return _case(place, f"state {number}", place.random.choice((".pt", ".pth")), content)


def payloads(place: Place) -> Case:
    """Unpickling it runs a command."""
    chance = place.random
    state = torch.load(io.BytesIO(place.bytes_of("unlearned.pt")), weights_only=True)
    content = chance.choice(
        (
            saved({**state, "0.bias": Payload()}),
            saved({**state, "0.bias": Payload()}, archive=False),
            saved(Payload()),
            pickle.dumps(Payload(), protocol=chance.randrange(5)),
            pickle.dumps([Payload()] * 3),
        )
    )
    return _case(place, "payload", chance.choice((".pt", ".pth", ".safetensors")), content)


def archive(place: Place) -> Case:
    """The archive of a ``.pt`` file is hostile."""
    chance = place.random
    members = members_of(place.bytes_of("unlearned.pt"))
    make = chance.choice((twice, compressed, bomb, pickled, without, resized))
    return _case(place, make.__name__, ".pt", make(members, chance))


def twice(members: list[tuple[str, bytes]], chance: random.Random) -> bytes:
    name, content = chance.choice(members)
    return packed([*members, (name, bytes(len(content)))])


def compressed(members: list[tuple[str, bytes]], _chance: random.Random) -> bytes:
    return packed(members, zipfile.ZIP_DEFLATED)


def bomb(members: list[tuple[str, bytes]], chance: random.Random) -> bytes:
    """The values of one tensor are 400 MiB of zeros."""
    name = chance.choice([name for name, _ in members if "/data/" in name])
    return added(zeros(name), [member for member in members if member[0] != name])


def without(members: list[tuple[str, bytes]], chance: random.Random) -> bytes:
    gone = chance.choice([name for name, _ in members if "/data/" in name or name.endswith("data.pkl")])
    return packed([(n, c) for n, c in members if n != gone])


def resized(members: list[tuple[str, bytes]], chance: random.Random) -> bytes:
    name = chance.choice([name for name, content in members if "/data/" in name and content])
    return packed([(n, c[: len(c) // 2] if n == name else c) for n, c in members])


#: pickles that take time, memory or the stack, without any function
PICKLES = (
    b"\x80\x02" + b"(" * 10**5 + b".",
    b"\x80\x02" + b"]" * 10**5 + b".",
    b"\x80\x02}(K\x01" + b"".join(b"\x86q%c" % i if not i else b"h%c\x86q%c" % (i - 1, i) for i in range(1)) + b".",
    b"\x80\x02}q\x00h\x00h\x00s.",
    b"\x80\x02\x8a\xff" + b"\x7f" * 255 + b".",
    b"\x80\x02\x8b\x00\x00\x00\x7f" + b"\x7f" * 1000 + b".",
    b"\x80\x02X\xff\xff\xff\x7fa.",
    b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7fa.",
    b"\x80\x02}(X\x01\x00\x00\x00aN" + b"u" + b"." * 2,
    b"\x80\x02ccollections\nOrderedDict\n(tR.",
    b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(tR.",
    b"\x80\x02cbuiltins\neval\n(X\x10\x00\x00\x00open('canary','w)tR.",
    b"\x80\x02N.",
    b"\x80\x02K\x01.",
    b".",
)


def nested_key(depth: int) -> bytes:
    """A mapping whose key is a tuple of twice the tuple before it: to hash it takes 2 ** depth steps."""
    text = b"\x80\x02N\x85q\x00"
    for i in range(depth):
        text += b"h%ch%c\x86q%c" % (i, i, i + 1)
    return text + b"}h%cNs." % depth


def pickled(members: list[tuple[str, bytes]], chance: random.Random) -> bytes:
    made = chance.choice((*PICKLES, nested_key(40), nested_key(60)))
    return packed([(n, made if n.endswith("data.pkl") else c) for n, c in members])


def bare_pickle(place: Place) -> Case:
    """A pickle with no archive around it."""
    return _case(place, "bare pickle", ".pt", place.random.choice((*PICKLES, nested_key(50))))


FAMILIES: tuple[Family, ...] = (safetensors_entry, states, archive, safetensors_header, states, payloads, bare_pickle)
