"""For the audit: how a model of one's own format is asked."""

from functools import lru_cache

import joblib

loaded = lru_cache(joblib.load)  # your own files: opened by your own code


def ask(path, inputs):
    return loaded(path).predict_log_proba(inputs)
