"""The terms of the reports, in plain words: on the page of the report and on that of the documentation."""

from __future__ import annotations

TERMS: tuple[tuple[str, str], ...] = (
    ("Forget set", "The rows that the model had to forget. Retain set: those that it may still know."),
    (
        "Holdout set",
        "Rows that no model ever saw, from the same pool as the forget set: forgotten rows should look alike.",
    ),
    ("Original", "The model before unlearning. The control: an attack that finds nothing there proves nothing."),
    (
        "Honest retrain, reference",
        "A model trained from scratch without the forget set. What attacks find in it is the level of chance.",
    ),
    ("Shadow model", "A model trained on a coin-flipped half of the data, with which an attacker learns what leaks."),
    ("Attack", "A measurement that an adversary could make to find the forget set. Access: what they may have."),
    (
        "AUC",
        "How well a score tells two groups apart: the chance that a forget row scores higher than a never-seen one. "
        "0.5 is a coin, 1 is certain; below 0.5 the forget rows stand out in the other direction.",
    ),
    (
        "Upper and lower tail (tpr_upper, tpr_lower)",
        "The share of forget rows beyond the outer 5% of never-seen rows: finds a few rows that leak much.",
    ),
    ("Share left", "How much of the original's knowledge of the forgotten classes is left; honest retrains: 0%."),
    (
        "Visible remainder",
        "How much of the forget set is as visible as if still trained on, by the upper tail of an attack's scores.",
    ),
    ("Interval", "Where the true value lies with the stated confidence. Short intervals need rows and references."),
    ("Margin", "How far from an honest retrain the policy lets a figure be. A PASS needs the whole interval inside."),
    ("Null", "What a figure is where nothing is left: on honest retrains, or with shuffled labels. sd: its scatter."),
    (
        "Difference test, p",
        "Asks whether chance explains what was found; a small p says no. Adjusted: for the number of attacks tried.",
    ),
    (
        "Families D1 and D2",
        "D1 compares the model with honest retrains, D2 forget rows with never-seen rows; Holm shares the error rate.",
    ),
    ("Equivalence", "Asks whether a figure is shown to be inside its margin: what a PASS rests on."),
    ("Gate", "A check of the audit itself. It can block a verdict; it never makes one better."),
    ("Policy", "The thresholds, fixed before the audit: margins, error rates, what a PASS needs."),
    ("Mandatory, primary, supplementary", "What a PASS needs; what a FAIL can come from; what is reported alone."),
    ("Epsilon, mu", "Lower bounds of the privacy loss that an attack shows: 0 is none, and more than 1 is a lot."),
    ("Score units, sd", "Differences of scores, in standard deviations of the scores of never-seen rows."),
    ("Ledger, look", "The count of audits of one forget set: trying until something passes is repeated testing."),
)
