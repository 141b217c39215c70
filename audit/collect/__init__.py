"""Look at the models: a `LoadedCase` in; `Evidence` out.

One forward pass a model and data set, every attack on every model, one resumable work unit at a time.
"""
