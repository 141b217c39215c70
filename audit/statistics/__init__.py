"""Tests and intervals: arrays in; p-values, intervals and sample sizes out.

NumPy and SciPy only: no models, no files, no thresholds.
"""
