"""Recovery of forgotten knowledge."""
