"""What the whole suite imports before any of it runs."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("torch", "sklearn", "skimage", "captum", "pandas", "xgboost")


def test_the_list_of_attacks_needs_none_of_the_heavy_libraries() -> None:
    code = f"import sys; from attacks.base import discover; discover(); print([m for m in {HEAVY} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
