"""Keep what a run leaves behind: records and arrays in; files out, written whole or not at all, and read back.

The schema of ``run.json``, the run directory, digests, seals and files that are read once.
"""
