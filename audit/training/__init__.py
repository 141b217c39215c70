"""Training many models: retrained references, shadow models, and shadow pipelines that train and then unlearn."""
