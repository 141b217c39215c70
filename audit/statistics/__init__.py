"""Tests and intervals: numpy and scipy only, no models, no files, no thresholds."""
