"""Train what a run lacks: a recipe, rows and an order in; references, shadow models and unlearned pipelines out.

Every model is kept under a content address in the store, and nothing identical is trained twice.
"""
