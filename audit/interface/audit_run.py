"""A finished audit as a program sees it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit.errors import CouldNotRun, UsageError

if TYPE_CHECKING:
    import pandas

    from audit.record.findings import Finding
    from audit.record.result import AuditResult, Outcome
    from audit.record.rundir import RunDir

#: columns of ``findings_frame``, in this order
COLUMNS = (
    *("id", "title", "status", "role", "kind", "estimate", "low", "high", "level", "margin_low", "margin_high"),
    *("p", "p_adjusted", "control", "n_forget", "n_holdout", "n_references", "reason"),
)


TEXT = ("id", "title", "status", "role", "kind", "reason")


@dataclass(frozen=True, repr=False)
class AuditRun:
    """A finished audit: its verdict, its findings, its report and its certificate.

    Attributes:
        result: the whole record, as ``run.json`` holds it.
        directory: the run directory.
    """

    result: AuditResult
    directory: RunDir

    @property
    def verdict(self) -> Outcome:
        """``PASS``, ``FAIL`` or ``INCONCLUSIVE``; a string, too. ``result.verdict`` has its reasons."""
        return self.result.verdict.outcome

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Every finding with estimate, interval, n, control, margin and status."""
        return self.result.findings

    @property
    def path(self) -> Path:
        """The run directory."""
        return self.directory.path

    @property
    def certificate(self) -> Path | None:
        """The signed certificate, or the unsigned statement; None where ``no_certificate`` says why.

        That of this judgement: where another took its place, the one that was kept in ``earlier/``.
        """
        folder = self._folder()
        if folder is None:
            return None
        names = (self.directory.certificate.name, self.directory.statement.name)
        return next((folder / name for name in names if (folder / name).is_file()), None)

    def _folder(self) -> Path | None:
        """Where this record stands now: the run directory, or a folder of earlier judgements."""
        from audit.record.result import to_json

        content = to_json(self.result).encode("ascii")
        for record in (self.directory.result, *sorted(self.directory.earlier.glob("*/run.json"), reverse=True)):
            if record.is_file() and record.read_bytes() == content:
                return record.parent
        return None

    @property
    def no_certificate(self) -> str:
        """Why there is no certificate; "" where there is one."""
        if self.certificate is not None:
            return ""
        reasons = [line for line in self.result.assumptions if line.startswith("no certificate")]
        return "; ".join(reasons) or "the run directory holds no certificate"

    def findings_frame(self) -> pandas.DataFrame:
        """The findings as a table, one row a finding.

        Raises:
            UsageError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise UsageError("a table needs pandas: pip install pandas, or read .findings.") from None
        frame = pd.DataFrame([_row(finding) for finding in self.findings], columns=list(COLUMNS))
        numbers = [name for name in COLUMNS if name not in TEXT]
        return frame.astype(dict.fromkeys(numbers, "float64"))

    def report(self, format: str = "html", **options: Any) -> str | bytes:  # noqa: A002 - its natural name
        """Render the audit.

        Args:
            format: ``html``, ``markdown``, ``junit``, ``sarif``, ``json``, ``pdf``, ``model-card``, ...
            options: of the format, see `reports.render.Options`.

        Raises:
            UsageError: there is no such format or option, or its package is not installed.
        """
        from reports.render import Options, render

        try:
            chosen = Options(run=self.directory, **options)
        except TypeError as error:
            raise UsageError(f"no such option of a report ({error}): see reports.render.Options.") from None
        return render(self.result, format, chosen)

    def __repr__(self) -> str:
        """Verdict and place: the record itself has thousands of values."""
        return f"<AuditRun {self.verdict}, {len(self.findings)} findings, {self.path}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the report, in a frame that runs nothing."""
        from html import escape

        page = self.report("html")
        if isinstance(page, bytes):
            raise CouldNotRun("the report is no text: report this.")
        frame = f'<iframe sandbox="" srcdoc="{escape(page)}" style="width:100%;height:40em;border:1px solid #ccc">'
        return f"{frame}</iframe>"


def _row(finding: Finding) -> dict[str, Any]:
    interval, margin = finding.interval, finding.margin
    row = {name: getattr(finding, name, None) for name in COLUMNS}
    row["status"], row["kind"] = str(finding.status), str(finding.kind)
    if interval is not None:
        row |= {"low": interval.low, "high": interval.high, "level": interval.level}
    if margin is not None:
        row |= {"margin_low": margin[0], "margin_high": margin[1]}
    return row
