"""One file a format: the folder is the list, and one function renders them all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from audit.errors import UsageError
from audit.record.result import Outcome, to_json
from audit.record.rundir import RunDir
from reports import formats
from reports.render import FORMATS, Inconclusive, Options, default_file, find_formats, render, render_bytes
from tests.reports.conftest import example

NEEDS = {"pdf": ("weasyprint",), "mlflow": ("mlflow", "sqlalchemy")}
FILES = {"html": "report.html", "pdf": "report.pdf", "compliance": "compliance.html"}
NEW = """
FILE = "one_line.txt"

def render(result, options):
    return f"{result.verdict.outcome.value} {options.width}\\n"
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDir:
    """A run directory, and a tracking store for the export, both in a temporary folder."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.chdir(tmp_path)
    made = RunDir(tmp_path / "run")
    made.create()
    made.result.write_text(to_json(example(Outcome.FAIL)), encoding="utf-8")
    return made


def python(code: str, *arguments: str | Path) -> str:
    """What a fresh interpreter prints."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_names_are_the_files() -> None:
    stems = {path.stem for path in Path(formats.__path__[0]).glob("*.py")} - {"__init__"}
    assert {name.replace("-", "_") for name in FORMATS} == stems
    assert "model-card" in FORMATS
    assert len(set(FORMATS)) == len(FORMATS)


@pytest.mark.filterwarnings("ignore")  # of WeasyPrint, MLflow and their parts
@pytest.mark.parametrize("name", FORMATS)
def test_every_file_renders_the_example(name: str, run: RunDir) -> None:
    for package in NEEDS.get(name, ()):
        pytest.importorskip(package)
    content = render(example(Outcome.FAIL), name, Options(run=run))
    assert isinstance(content, bytes if name == "pdf" else str)
    assert content
    assert default_file(name) == FILES.get(name)
    if name not in NEEDS:  # an export has an id; a PDF has its own test
        written = render_bytes(example(Outcome.FAIL), name, Options(run=run))
        assert written.decode("utf-8") == content
        assert "FAIL" in content


def test_options_reach_their_formats() -> None:
    result = example(Outcome.INCONCLUSIVE)

    def text(name: str, options: Options) -> str:
        return render_bytes(result, name, options).decode("utf-8")

    gdpr = Options(frameworks=("gdpr",))
    assert 'id="clauses"' not in text("html", Options())
    for name, other in (("html", "eu-ai-act"), ("compliance", "AI Act")):
        assert other in text(name, Options(frameworks=("gdpr", "eu-ai-act")))
        assert other not in text(name, gdpr)
        with pytest.raises(UsageError, match="no framework 'gdrp'"):
            render(result, name, Options(frameworks=("gdrp",)))
    assert text("compliance", Options(markdown=True)).startswith("# Evidence by clause")
    assert 'type="INCONCLUSIVE"' in text("junit", Options())
    assert 'type="INCONCLUSIVE"' not in text("junit", Options(junit_inconclusive=Inconclusive.SKIPPED))
    assert '"kind": "informational"' not in text("sarif", Options())
    assert '"kind": "informational"' in text("sarif", Options(sarif_all=True))
    assert '"id": "scoring/' in text("sarif", Options(sarif_category="scoring"))
    assert '"uri": "audit.toml"' in text("sarif", Options(sarif_location="audit.toml"))
    assert "not shown here" in text("markdown", Options(max_bytes=4_000))
    assert max(map(len, text("terminal", Options(width=60)).splitlines())) <= 60


def test_the_report_names_the_record_on_disk(run: RunDir) -> None:
    run.result.write_bytes(run.result.read_bytes() + b"\n")
    result = example(Outcome.FAIL)
    assert render(result, "html", Options(run=run)) != render(result, "html")


def test_an_export_needs_a_run() -> None:
    with pytest.raises(UsageError, match="needs a run directory"):
        render(example(Outcome.PASS), "mlflow")


@pytest.mark.parametrize("name", ["gif", "model_card", "", "../render", "html.Options"])
def test_an_unknown_name_is_told_the_known_ones(name: str) -> None:
    with pytest.raises(UsageError, match=r"no report format .*: choose from html, pdf, .*, terminal\."):
        render(example(Outcome.PASS), name)
    with pytest.raises(UsageError, match="no report format"):
        default_file(name)


def test_a_new_file_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one_line.py").write_text(NEW)
    monkeypatch.setattr(formats, "__path__", [*formats.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "reports.formats.one_line", raising=False)
    assert find_formats() == (*FORMATS, "one-line")
    assert render(example(Outcome.PASS), "one-line", Options(width=7)) == "PASS 7\n"
    assert default_file("one-line") == "one_line.txt"
    monkeypatch.delitem(sys.modules, "reports.formats.one_line")


def test_a_new_file_is_a_choice_of_the_command(tmp_path: Path, run: RunDir) -> None:
    (tmp_path / "one_line.py").write_text(NEW)
    code = (
        "import sys; from reports import formats; formats.__path__.append(sys.argv.pop(1))\n"
        "from audit.__main__ import _run; sys.exit(_run())"
    )
    assert "|one-line>" in python(code, tmp_path, "report", "--help")
    assert python(code, tmp_path, "report", run.path, "-f", "one-line").strip() == str(run.path / "one_line.txt")
    assert (run.path / "one_line.txt").read_text() == "FAIL 120\n"


def test_help_imports_no_renderer() -> None:
    code = (
        "import sys; sys.argv = ['audit', 'report', '--help']\n"
        "from audit.__main__ import _run; assert _run() == 0\n"
        "print(*sys.modules)"
    )
    loaded = python(code).splitlines()[-1].split()
    assert "reports.render" in loaded
    heavy = ("reports.formats.", "reports.charts", "torch", "sklearn", "jinja2", "weasyprint", "mlflow")
    assert [name for name in loaded if name.startswith(heavy)] == []
