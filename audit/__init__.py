"""The audit: inputs, engine, statistics, verdict, evidence."""

__version__ = "0.1.0"
