"""Probes on hidden layers: what do early layers remember that the output hides?"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from attacks.base import Case, ChartSpec, Efforts, Floats, NotApplicable, Plot, Scores, Signals, View
from attacks.calibration import FEATURES_REMEDY, calibrated, out_of_line
from attacks.fits import fit_rows

from .layers import hidden_layers
from .probe import SIDES, Probe, confidence_by_side


class LayerProbe(Probe):
    """The linear probe of `probe`, on every hidden layer before the features.

    Fitted on retain rows, it scores forget and holdout rows alike by the logit-scaled confidence in their label;
    methods that move the output (random labels, a bad teacher) leave the first layers as they were. Score: the
    calibrated confidences averaged over layers; the profile by depth stands in the report. What a layer gives is
    averaged over positions, standardised unit by unit and clipped.
    """

    name = "layer_probe"
    version = "1"
    title = "Linear probes on hidden layers"
    reads_layers = True
    features_alone = False  # it reads what comes before them
    rows_alone = True
    efforts: ClassVar[Efforts] = {"quick": {"max_rows": 1_000}}
    charts = (
        ChartSpec(
            "lines",
            "Gap between forget and holdout rows by depth",
            x="hidden layer, first to last",
            y="mean calibrated confidence of forget minus holdout rows",
            plot="depth",
        ),
    )

    def check_models(self, view: View, original: View | None, case: Case) -> None:  # noqa: ARG002
        """A hidden layer."""
        hidden_layers(view)

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:  # noqa: ARG002
        """Probe confidence in the label, (n, layers)."""
        layers = hidden_layers(view)
        rows, _ = fit_rows(case, int(self.parameters["max_rows"]), rng)
        found: dict[str, list[Floats]] = {role: [] for role in SIDES}
        for layer in layers:
            fit = view.activations("retain", layer)[rows]
            sides = {role: view.activations(role, layer) for role in SIDES}
            beside = np.concatenate(list(sides.values()))  # both sides alike, or their labels could not be permuted
            truth, penalty = case.truth("retain")[rows], float(self.parameters["penalty"])
            outputs = case.task.probe(fit, truth, beside, beside, penalty, case.n_classes)
            for role, part in confidence_by_side(outputs, case).items():
                found[role].append(part)
        return {role: np.stack(columns, axis=1) for role, columns in found.items()}

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:
        """Calibrated confidences averaged over layers, and their gap by depth."""
        if len({s["forget"].shape[1] for s in signals}) > 1:
            raise NotApplicable("the models have different numbers of hidden layers: name those to read with --layers")
        labels = np.concatenate([case.labels[role] for role in SIDES])
        values = np.stack([np.concatenate([s[role] for role in SIDES]) for s in signals])  # (J, n, layers)
        by_layer = np.stack([calibrated(values[..., at], labels) for at in range(values.shape[2])])
        examples = by_layer.mean(axis=0)
        cut = len(case.labels["forget"])
        gaps = by_layer[..., :cut].mean(axis=2) - by_layer[..., cut:].mean(axis=2)  # (layers, J)
        own = ", ".join(f"{gap:+.2f}" for gap in gaps[:, 0])
        return Scores(
            examples=examples,
            invalid=out_of_line(examples, "features"),
            remedy=FEATURES_REMEDY,
            details=(f"{len(gaps)} hidden layers; gap of forget over holdout rows from first to last: {own}",),
            plots={"depth": Plot(gaps.T, np.arange(1.0, len(gaps) + 1))} if len(gaps) > 1 else {},
        )
