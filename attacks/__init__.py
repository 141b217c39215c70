"""Attacks: each turns a model and data into scores, and never into a judgement."""
