"""What is measured: the pools of fresh worlds, the audits in them, and the cells of the tables that they fill."""

from __future__ import annotations

from dataclasses import replace

from .audits import CLASS, CLASS_WHITE, INSIDE, SUITE, USUAL, WHITE, WHOLE, Audit
from .cells import Bound, Cell, Pool
from .worlds import Setting

MISMATCH = 0.08
SHALLOW = ("copy", "fine-tune 1", "fine-tune 10", "ascent", "noise", "head reset", "random labels")
SYMMETRIC = ("label_only", "membership", "probe")
LABELS = ("label_only",)
WEAKER: tuple[tuple[str, tuple[str, ...]], ...] = (("labels", LABELS), ("logits", ("label_only", "membership")))
WHOLE_D2 = tuple(name for name in WHOLE if name != "feature_mapping")  #: what needs no original


def _d2(references: int) -> Audit:
    """D2 alone: no original, hence no attack that needs one."""
    return Audit(references=references, attacks=SYMMETRIC, original=False)


def _uniform(name: str, audit: Audit, family: str) -> Cell:
    return Cell("C8", name, audit, family, 0.0, "p-value")


def _passes(audit: Audit, name: str, floor: float | None = None) -> Cell:
    bound: Bound = "shown" if floor is None else "at least"
    return Cell("C6", f"{name}, {audit.access}, K={audit.references}", audit, "PASS", floor or 0.0, bound)


def _random() -> Pool:
    unknown = {k: Audit(references=k, split="unknown", kind="other") for k in (5, 8)}
    cells = [Cell("C1", f"D2 alone, K={k}", _d2(k)) for k in (0, 5)]
    cells += [Cell("C1", f"D1-t alone (split unknown), K={k}", audit) for k, audit in unknown.items()]
    cells += [Cell("C1", "combined verdict (D2 and D1-t), K=5", Audit())]
    cells += [Cell("C2", f"random, combined verdict, K=5: {m}", Audit(m), nominal=MISMATCH) for m in ("half", "wide")]
    for access, attacks in WEAKER:
        audit = Audit(access=access, attacks=attacks)
        cells.append(Cell("C1", f"combined verdict, {access}, K=5", audit))
        cells += [
            Cell("C2", f"random, {access}, K=5: {m}", Audit(m, access=access, attacks=attacks), nominal=MISMATCH)
            for m in ("half", "wide")
        ]
    cells += [_uniform(f"D2, K={k}", _d2(k), "D2") for k in (0, 5)]
    cells += [_uniform(f"D1-t, K={k}", audit, "D1") for k, audit in unknown.items()]
    return Pool("random", "random forget sets of 200 rows", Setting(), tuple(cells), 200, 24)


def _whole() -> Pool:
    """Every attack that a run may gate, with the shadow models that some of them need."""
    alone = Audit(references=5, attacks=WHOLE_D2, original=False)
    cells = [
        Cell("C1", "whole suite with 16 shadow models: D2 alone, K=5", alone),
        Cell("C1", "whole suite with 16 shadow models: combined verdict, K=5", Audit(attacks=WHOLE)),
        _uniform("whole suite with 16 shadow models: D2, K=5", alone, "D2"),
        _passes(Audit(attacks=WHOLE), "whole suite, random, n_F=200"),
        *(
            Cell("C4", f"whole suite, n_F=200, K=5: {model}", Audit(model, attacks=WHOLE), "FAIL", 0.0, "shown")
            for model in ("fine-tune 10", "head reset", "random labels")
        ),
    ]
    words = "random forget sets of 200 rows, 400 auxiliary rows, 16 shadow models"
    return Pool("random-suite", words, Setting(auxiliary=400), tuple(cells), 100, shadows=16)


def _rank() -> list[Pool]:
    unknown = Audit(references=19, split="unknown", kind="other")
    cells = (
        Cell("C1", "D1-rank alone (split unknown), K=19", unknown),
        Cell("C1", "combined verdict (D2 and D1-t), K=19", Audit(references=19)),
        _uniform("D1-rank, K=19", unknown, "D1"),
    )
    both = Audit(references=39)
    more = (Cell("C1", "combined verdict (D2 and D1-rank), K=39", both),)
    return [
        Pool("random-19", "random forget sets of 200 rows, 19 references", Setting(), cells, 200, 4),
        Pool("random-39", "random forget sets of 200 rows, 39 references", Setting(), more, 100),
    ]


def _class() -> list[Pool]:
    full, alone = Audit(references=8, attacks=SUITE), Audit(references=8, attacks=SUITE, split="unknown")
    d2 = Audit(references=0, attacks=("membership",), original=False)
    planted = Audit(references=8, access="logits", attacks=CLASS, change="share at the margin")
    features = Audit(references=8, attacks=CLASS, change="share at the margin")
    logits = Audit(references=8, access="logits", attacks=("membership",))
    cells = [
        Cell("C1", "class: D2 alone, K=0", d2),
        Cell("C1", "class: combined verdict, logits, K=8", logits),
        Cell("C1", "class: D1-t alone (split unknown), K=8, with UMA", alone),
        Cell("C1", "class: combined verdict, K=8, with UMA", full),
        *(
            Cell("C2", f"class, combined verdict, K=8: {m}", Audit(m, 8, attacks=SUITE), nominal=MISMATCH)
            for m in ("half", "wide")
        ),
        Cell("C5", "share at the margin: figure", planted, "membership.share PASS"),
        Cell("C5", "share at the margin: verdict", planted, "PASS"),
        Cell("C5", "share at the margin, features: figure", features, "feature_mapping.share PASS"),
        _passes(full, "class of 200 rows"),
        _passes(Audit(references=8, access="logits", attacks=CLASS), "class of 200 rows"),
        _uniform("class: D1-t, K=8", alone, "D1"),
    ]
    rank = Audit(references=19, split="unknown", attacks=CLASS)
    pools = [
        Pool("class", "one class of 200 rows", _class_of(200), tuple(cells), 200, 3),
        Pool(
            "class-19",
            "one class of 200 rows, 19 references",
            _class_of(200),
            (Cell("C1", "class: D1-rank alone (split unknown), K=19", rank),),
        ),
    ]
    for n in (50, 1000):
        audits = [Audit(references=8, access=access, attacks=CLASS) for access in ("logits", "features")]
        honest = [_passes(audit, f"class of {n} rows") for audit in audits]
        pools.append(Pool(f"class-{n}", f"one class of {n} rows", _class_of(n), tuple(honest), 60))
    return pools


def _class_of(n: int) -> Setting:
    return Setting("class", n, holdout=max(100, min(n, 400)), test=396)


def _subjects() -> list[Pool]:
    pools = []
    for n, rows, worlds, short in ((60, 5, 200, 8), (200, 3, 100, 0)):
        audits = {k: Audit(references=k, group=True) for k in (0, 5)}
        cells = [Cell("S", f"{n} subjects of {rows} rows, declared, K={k}", a) for k, a in audits.items()]
        for k in (0, 5):
            blind = Audit(references=k, kind="random")
            cells.append(Cell("S", f"{n} subjects of {rows} rows, not declared, K={k}", blind, bound="shown"))
        for access, attacks in WEAKER:
            audit = Audit(references=5, group=True, access=access, attacks=attacks)
            cells.append(Cell("S", f"{n} subjects of {rows} rows, declared, {access}, K=5", audit))
        cells += [_passes(Audit(group=True, access=a), f"{n} subjects") for a in ("labels", "logits", "features")]
        setting = Setting("subject", n, 2 * n, max(120, n), 80, rows=rows)
        pools.append(
            Pool(f"subject-{n}", f"{n} data subjects with {rows} rows each", setting, tuple(cells), worlds, short)
        )
    return pools


def _shifted() -> list[Pool]:
    cells = []
    for words, change in (("0", ""), (".1", "interaction .1"), (".3", "interaction .3")):
        for split, bound in (("assumed", "at most"), ("unknown", "at most"), ("attested", "shown")):
            audit = Audit(split=split, change=change)
            name = f"split {split}, K=5, seed x group sd {words}"
            cells.append(Cell("C3", name, audit, bound=bound))  # type: ignore[arg-type]
            if split == "assumed" and not change:
                cells.append(Cell("C3", "D2 admitted, split assumed, K=5", audit, "D2 admitted", bound="shown"))
    mild = []
    for words, change in (("0", ""), (".3", "interaction .3")):
        audit = Audit(split="assumed", change=change)
        mild.append(Cell("C3", f"mild shift: split assumed, K=5, seed x group sd {words}", audit, bound="shown"))
    mild.append(Cell("C3", "mild shift: D2 admitted, split assumed, K=5", mild[0].audit, "D2 admitted", bound="shown"))
    random = Audit(split="assumed")
    alike = (
        Cell("C3", "no shift: split assumed, K=5", random),
        Cell("C3", "no shift: D2 admitted, split assumed, K=5", random, "D2 admitted", bound="shown"),
    )
    return [
        Pool("shifted", "forget rows harder by half a standard deviation", Setting(shift=0.35), tuple(cells), 200, 2),
        Pool("mild", "forget rows harder by a quarter of a standard deviation", Setting(shift=0.15), tuple(mild), 60),
        Pool("assumed", "random forget sets of 200 rows, split assumed", Setting(), alike, 100),
    ]


def _floor(model: str, n: int, references: int) -> float | None:
    """Powers that the design asks for: statistics.md C4."""
    early = SHALLOW.index(model)
    if references == 0:
        return 0.90 if n == 200 and early < 5 else None
    if n == 50:
        return 0.95 if early < 4 else 0.80 if early < 5 else 0.60
    return 0.95 if early < 5 else 0.80


def _power(n: int, setting: Setting, worlds: int = 200, short: int = 0) -> Pool:
    cells = []
    for model in SHALLOW:
        for k in (0, 5):
            floor = _floor(model, n, k)
            bound: Bound = "shown" if floor is None else "at least"
            cells.append(Cell("C4", f"n_F={n}, K={k}: {model}", Audit(model, k), "FAIL", floor or 0.0, bound))
    for model in SHALLOW:
        for access, attacks in WEAKER:
            audit = Audit(model, access=access, attacks=attacks)
            cells.append(Cell("C4", f"n_F={n}, {access}, K=5: {model}", audit, "FAIL", 0.0, "shown"))
    for k in (0, 5):
        for access in ("labels", "logits", "features"):
            floor = {200: 0.70, 1000: 0.90}.get(n) if k == 5 and access == "logits" else None
            cells.append(_passes(Audit(references=k, access=access), f"random, n_F={n}", floor))
    for access in ("logits", "features"):
        cells.append(_passes(Audit(references=8, split="unknown", kind="other", access=access), f"other, n_F={n}"))
    if n > 50:
        for change, figure in (("AUC", "auc"), ("upper tail", "tpr_upper"), ("lower tail", "tpr_lower")):
            audit = Audit(access="logits", change=f"{change} at the margin")
            name = f"{change} at the margin, n_F={n}, K=5"
            cells.append(Cell("C5", f"{name}: figure", audit, f"membership.{figure} PASS"))
            cells.append(Cell("C5", f"{name}: verdict", audit, "PASS"))
            audit = Audit(access="labels", attacks=LABELS, change=f"label {change} at the margin")
            cells.append(Cell("C5", f"labels, {name}: verdict", audit, "PASS"))
    words = f"random forget sets of {n} rows, {setting.holdout} holdout rows"
    return Pool(f"power-{n}", words, setting, tuple(cells), worlds, short)


def _weights() -> list[Pool]:
    """Claims of weights, and beside them the weaker levels on the same worlds."""
    sizes = {300: Setting(n_forget=300), 1000: Setting(n_forget=1000, holdout=1000, retain=1000, hidden=96)}
    suites = {"logits": USUAL, "features": (*USUAL, *INSIDE), "weights": (*USUAL, *INSIDE, *WHITE)}
    found = []
    for n, setting in sizes.items():
        audits = {access: Audit(access=access, attacks=suite) for access, suite in suites.items()}
        weights, name = audits["weights"], f"weights, n_F={n}, K=5"
        cells = [
            Cell("C1", name, weights),
            Cell("C2", f"{name}: half", replace(weights, model="half"), nominal=MISMATCH),
            *(_passes(audit, f"pool of weights, n_F={n}") for audit in audits.values()),
            *(
                Cell("C4", f"{name}: {model}", replace(weights, model=model), "FAIL", 0.0, "shown")
                for model in ("fine-tune 10", "head reset", "random labels")
            ),
        ]
        words = f"random forget sets of {n} rows, claims of weights"
        found.append(Pool(f"weights-{n}", words, setting, tuple(cells), 100 if n < 1000 else 60))
    audit = Audit(references=8, access="weights", attacks=(*SUITE, *CLASS_WHITE))
    honest = (Cell("C1", "weights, class, K=8", audit), _passes(audit, "pool of weights, class of 200 rows"))
    found.append(Pool("weights-class", "one class of 200 rows, claims of weights", _class_of(200), honest, 60))
    return found


def pools() -> list[Pool]:
    """The whole plan, cheapest answers first."""
    return [
        _random(),
        _whole(),
        *_class(),
        *_rank(),
        *_subjects(),
        _power(50, Setting(n_forget=50, holdout=400), 60),
        _power(200, Setting(), 100, 2),
        _power(1000, Setting(n_forget=1000, holdout=1000, retain=1000, hidden=96), 40),
        *_shifted(),
        *_weights(),
    ]
