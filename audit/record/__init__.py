"""What a run leaves behind: the schema of ``run.json``, the run directory, files and digests.

Records in; bytes on disk out, atomically, and back.
"""
