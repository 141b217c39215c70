"""Scores of membership attacks as pure functions of arrays: no model, no case, blocks of examples."""
