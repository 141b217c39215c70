"""Evaluation logs of other tools, in; scores files, data files and an `audit.toml` that audits them, out.

One file a layout: it reads one model's log to rows of named sets (`layout.Rows`). `joined` joins the models by id,
`written` writes. Everything is read as JSON or as arrays without pickle; nothing of a log is run.
"""
