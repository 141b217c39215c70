"""The command line: arguments in; one function called, words for people on standard error and an exit code out.

Torch and the renderers are imported where they are needed.
"""
