"""Weight-space signals: where unlearning changed the weights, and how shallow the change is."""
