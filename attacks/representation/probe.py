"""A cross-fitted linear probe: what can be read off the penultimate features without the model's own head?"""

import warnings
from collections.abc import Sequence

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from attacks.base import Access, Attack, Case, Floats, Ints, Scores, Signals, View
from attacks.calibration import FEATURES_REMEDY, calibrated, out_of_line
from attacks.fits import fit_rows
from attacks.signals import contrast, logit_confidence
from attacks.standard import standard_of

FOLDS = 2


class Probe(Attack):
    """Logistic probe of the label, never fitted on a row that it scores.

    Other claims than class: fitted on retain rows, it scores forget and holdout rows alike by the logit-scaled
    confidence in their label, calibrated on the references like the membership score: an example that the
    encoder has memorised lies where its (even wrong) label lies. Class claims: fitted with the forgotten classes
    on one half of the never-seen rows, scored on the other (two folds); mean confidence on the forgotten classes
    minus that on the retained ones. A probe's accuracy alone says nothing, an honest retrain reaches .95: only
    the excess over the references counts. Features are standardised unit by unit and clipped (`attacks.standard`).
    """

    name = "probe"
    version = "2"  # 2: units that hardly vary on the fit rows, clipped features
    title = "Linear probe on the penultimate features"
    access = Access.FEATURES
    symmetric = True
    source = "Alain & Bengio, Understanding intermediate layers using linear classifier probes, arXiv 1610.01644"

    def __init__(self, *, penalty: float = 0.01, max_rows: int = 4_000) -> None:
        """Set the probe's penalty and size.

        Args:
            penalty: L2 penalty per fit row on standardised features, > 0 (our choice: .01).
            max_rows: at most this many fit rows; >= 50.
        """
        super().__init__()
        if penalty <= 0 or max_rows < 50:
            raise ValueError("probe: penalty must be > 0 and max_rows >= 50")
        self.parameters = {"penalty": penalty, "max_rows": max_rows}

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:  # noqa: ARG002
        """Probe confidence in the label per example."""
        if case.kind == "class":
            return self._class_probe(view, case, rng)
        rows, _ = fit_rows(case, int(self.parameters["max_rows"]), rng)
        labels = case.labels["retain"][rows]
        features, sides = view.features("retain")[rows], {r: view.features(r) for r in ("forget", "holdout")}
        scored = np.concatenate(list(sides.values()))  # both sides alike, or their labels could not be permuted
        return {
            role: logit_confidence(self._logits(features, labels, side, case.n_classes, scored), case.labels[role])
            for role, side in sides.items()
        } | {"rows": np.array([len(rows)])}

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:
        """Calibrated confidences, or the class contrast."""
        rows = int(signals[0]["rows"][0])
        if case.kind == "class":
            statistic, error = contrast([s["holdout"] for s in signals], [s["test"] for s in signals])
            details = (f"two-fold fits on never-seen rows, about {rows} rows each, forgotten classes included",)
            return Scores(statistic=statistic, sampling_error=error, unit="logits", details=details)
        values = np.stack([np.concatenate([s["forget"], s["holdout"]]) for s in signals])
        labels = np.concatenate([case.labels["forget"], case.labels["holdout"]])
        details = (f"fit set: {rows} retain rows, none of the rows scored",)
        examples = calibrated(values, labels)
        invalid = out_of_line(examples, "features")
        return Scores(examples=examples, invalid=invalid, remedy=FEATURES_REMEDY, details=details)

    def _class_probe(self, view: View, case: Case, rng: np.random.Generator) -> Signals:
        features = np.concatenate([view.features("holdout"), view.features("test")])
        labels = np.concatenate([case.labels["holdout"], case.labels["test"]])
        cut = len(case.labels["holdout"])
        limit = FOLDS * int(self.parameters["max_rows"])
        fold = np.empty(len(labels), dtype=np.int64)
        for side in (slice(0, cut), slice(cut, None)):  # both sides split evenly
            fold[side] = rng.permutation(len(labels[side])) % FOLDS
        usable = rng.permutation(len(labels)) < limit
        confidence = np.empty(len(labels))
        for k in range(FOLDS):
            fit, score = (fold != k) & usable, fold == k
            logits = self._logits(features[fit], labels[fit], features[score], case.n_classes)
            confidence[score] = logit_confidence(logits, labels[score])
        return {
            "holdout": confidence[:cut],
            "test": confidence[cut:],
            "rows": np.array([min(len(labels), limit) // FOLDS]),
        }

    def _logits(
        self, features: Floats, labels: Ints, target: Floats, n_classes: int, beside: Floats | None = None
    ) -> Floats:
        """Logits (m, C) of a probe fitted on (features, labels); classes without a fit row rank last.

        ``beside`` floors the spread of each unit; without it the fit rows themselves are rows that no model has seen.
        """
        standard = standard_of(features, beside)
        probe = LogisticRegression(C=1 / (float(self.parameters["penalty"]) * len(labels)), max_iter=1000)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # an unfinished fit is still the same rule for all
            probe.fit(standard(features), labels)
        decision = np.asarray(probe.decision_function(standard(target)))
        if decision.ndim == 1:
            decision = np.column_stack([-decision / 2, decision / 2])
        logits = np.repeat(decision.min(axis=1, keepdims=True) - 1.0, n_classes, axis=1)
        logits[:, probe.classes_] = decision
        return logits
