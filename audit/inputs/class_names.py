"""Models trained on text labels: their classes get the numbers of the data's labels, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .called import CalledTarget
from .naming import listed, shown
from .targets import Target


def number_models(models: Mapping[str, Target], names: Sequence[str], problems: list[str]) -> list[str]:
    """Number the classes of all models that name theirs; return what was understood.

    A model may lack a class, as a retrain without it does. One that no set has is a problem: where it stands among
    the numbers nobody said.

    Args:
        models: loaded.
        names: labels of all sets in the order of their numbers; () = the labels are numbers.
        problems: what does not fit is added, with the remedy.
    """
    named = {name: model for name, model in models.items() if isinstance(model, CalledTarget) and model.names}
    found: dict[str, list[str]] = {}
    for name, model in named.items():
        unknown = [label for label in model.names if label not in names]
        if not names:
            text = f"knows its classes by name ({listed(list(model.names))}), the labels are numbers: save the labels "
            found.setdefault(f"{text}as the names that it was trained on", []).append(name)
        elif unknown:
            text = f"knows the classes {listed(unknown)}, which are no labels of the data ({listed(list(names))}): "
            text += "write both alike; if no row has them, name all classes in [data] classes = [...]"
            found.setdefault(text, []).append(name)
        else:
            model.number(names)
    problems += [f"{listed(which)}: {text}" for text, which in found.items()]
    if not named or found:
        return []
    told = ", ".join(f"{shown(name)} = {i}" for i, name in enumerate(names[:8])) + (", ..." if len(names) > 8 else "")
    return [f"classes of {listed(list(named))} are found by the names of the labels: {told}"]
