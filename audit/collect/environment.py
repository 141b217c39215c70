"""Versions that a figure may depend on."""

from __future__ import annotations

import platform
from importlib.metadata import version


def environment(device: str) -> dict[str, str]:
    """Versions and device; no host names, no paths."""
    import numpy as np
    import scipy
    import torch

    used = device
    if device.startswith("cuda") and torch.cuda.is_available():
        used = f"{device} ({torch.cuda.get_device_name()})"
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "scikit-learn": version("scikit-learn"),
        "platform": f"{platform.system()} {platform.machine()}",
        "device": used,
    }
