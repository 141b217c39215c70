"""Attacks on the learned representation."""
