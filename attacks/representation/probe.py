"""A cross-fitted linear probe: what can be read off the penultimate features without the model's own head?"""

from collections.abc import Sequence

import numpy as np

from attacks.base import Access, Attack, Case, Floats, Scores, Signals, View
from attacks.calibration import FEATURES_REMEDY, calibrated, out_of_line
from attacks.fits import fit_rows
from attacks.membership.common import by_side, side_truth
from attacks.signals import contrast, logit_confidence

FOLDS = 2
SIDES = ("forget", "holdout")


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
    features_alone = True
    signal = "truth"
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
            raise ValueError(f"{self.name}: penalty must be > 0 and max_rows >= 50")
        self.parameters = {"penalty": penalty, "max_rows": max_rows}

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:  # noqa: ARG002
        """Probe confidence in the label per example."""
        if case.kind == "class":
            return self._class_probe(view, case, rng)
        rows, _ = fit_rows(case, int(self.parameters["max_rows"]), rng)
        truth, penalty = case.truth("retain")[rows], float(self.parameters["penalty"])
        scored = np.concatenate([view.features(role) for role in SIDES])  # both sides alike: their labels are permuted
        fit = view.features("retain")[rows]
        outputs = case.task.probe(fit, truth, scored, scored, penalty, case.n_classes)
        return confidence_by_side(outputs, case) | {"rows": np.array([len(rows)])}

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
        penalty = float(self.parameters["penalty"])
        limit = FOLDS * int(self.parameters["max_rows"])
        fold = np.empty(len(labels), dtype=np.int64)
        for side in (slice(0, cut), slice(cut, None)):  # both sides split evenly
            fold[side] = rng.permutation(len(labels[side])) % FOLDS
        usable = rng.permutation(len(labels)) < limit
        confidence = np.empty(len(labels))
        for k in range(FOLDS):
            fit, score = (fold != k) & usable, fold == k
            logits = case.task.probe(features[fit], labels[fit], features[score], None, penalty, case.n_classes)
            confidence[score] = logit_confidence(logits, labels[score])
        return {
            "holdout": confidence[:cut],
            "test": confidence[cut:],
            "rows": np.array([min(len(labels), limit) // FOLDS]),
        }


def confidence_by_side(outputs: Floats, case: Case) -> dict[str, Floats]:
    """Confidence in forget and holdout rows from a probe's outputs on both, forget first, (n_F + n_H, C)."""
    return by_side(case.task.confidence(outputs, side_truth(case)), case)
