"""Every threshold of the verdict: the name or path of a policy in; a `Policy` and the digest of its file out.

`screening.toml`, `standard.toml` and `strict.toml` beside this file are the built-in ones.
"""
