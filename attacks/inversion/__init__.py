"""Inversion: what can be reconstructed of forgotten rows from weights, gradients or the difference of two versions."""
