"""Data formats: a path in; its arrays as they stand out, before labels and pictures are understood.

One file a format, found by `audit.inputs.source`. Nothing here runs code of a file; a library is imported where its
format is read.
"""
