"""The user's own ``train`` and ``unlearn``: found, called, and checked for what they must not do."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from attacks.memory import is_out_of_memory
from audit.inputs.contained import Meddling, contained
from audit.inputs.recipe import RecipeSection
from audit.inputs.usercode import describe, named_function, source_digest

from .jobs import Pool, Sources
from .problems import NotImportable, TrainingError, out_of_memory
from .single import first_bad, seeded

if TYPE_CHECKING:
    import torch

Hook = Callable[..., Any]


def import_hook(line: str, spec: str) -> Hook:
    """Import the function that a line of the recipe names, also from the working directory.

    Raises:
        TrainingError: with the line and the remedy.
    """
    try:
        return named_function(f'[recipe] {line} = "{spec}"', spec)
    except ValueError as error:
        raise NotImportable(str(error)) from error


def import_sources(recipe: RecipeSection, arch: str) -> Sources:
    """Import all that the models depend on, and digest the files.

    Raises:
        TrainingError: something cannot be imported.
    """
    try:
        named_function(f"--arch {arch}", arch)
    except ValueError as error:
        raise NotImportable(str(error)) from error
    found = {"arch": source_digest(arch)}
    for line, spec in (("train", recipe.train), ("unlearn", recipe.unlearn)):
        if spec is not None:
            import_hook(line, spec)
            found[line] = source_digest(spec)
    return Sources(**found)


def _content(data: Any) -> str:
    digest = hashlib.sha256()
    parts = [data.x[name] for name in sorted(data.x)] if isinstance(data.x, dict) else [data.x]
    for tensor in (*parts, data.y):
        array = tensor.detach().cpu().contiguous().numpy()
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(array.reshape(-1).view("u1").data if array.size else b"")
    return digest.hexdigest()


def call_hook(
    line: Literal["train", "unlearn"],
    recipe: RecipeSection,
    model: torch.nn.Module,
    data: dict[str, Pool],
    seed: int,
    device: str,
) -> torch.nn.Module:
    """Call the user's function under the seed, and check what it returns.

    Args:
        line: ``train`` or ``unlearn``.
        recipe: the recipe that names it.
        model: what the function gets; it may change it in place.
        data: its sets by the names of the arguments, in order.
        seed: of the model.
        device: where the model and the data are.

    Returns:
        the module that it returned, in eval mode.

    Raises:
        TrainingError: it raises, changes its data, or returns no finite network of the same architecture.
    """
    from .dataset import Rows

    spec = str(getattr(recipe, line))
    function, said = import_hook(line, spec), f'[recipe] {line} = "{spec}"'
    expected = _layout(model)
    sets = {name: Rows(pool, device) for name, pool in data.items()}
    before = {name: _content(rows) for name, rows in sets.items()}
    try:
        with contained(said), seeded(seed, device):
            made = function(model, *sets.values(), seed)
    except Meddling as error:
        raise TrainingError(str(error)) from error
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        if is_out_of_memory(error):
            raise TrainingError(out_of_memory(recipe, line)) from error
        raise TrainingError(f"{said} fails ({describe(error)}): repair it") from error
    _check_module(said, made, expected)
    for name, rows in sets.items():
        if _content(rows) != before[name]:
            raise TrainingError(f"{said} changes its argument {name}, which other models are judged by: work on a copy")
    bad = first_bad(made)
    if bad:
        raise TrainingError(f"{said} leaves weights that are not finite in {bad}: lower its learning rate")
    return made.eval()  # type: ignore[no-any-return]


def _check_module(said: str, made: Any, expected: dict[str, tuple[int, ...]]) -> None:
    import torch

    if not isinstance(made, torch.nn.Module):
        what = "None" if made is None else f"a {type(made).__name__}"
        raise TrainingError(f"{said} returns {what}, not a network: end it with `return model`")
    found = _layout(made)
    unlike = [name for name in {**expected, **found} if expected.get(name) != found.get(name)]
    if unlike:
        raise TrainingError(
            f"{said} returns a network of another architecture (unlike in {', '.join(unlike[:5])}): return the network "
            "that it was given, or one of the same --arch"
        )


def _layout(module: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
