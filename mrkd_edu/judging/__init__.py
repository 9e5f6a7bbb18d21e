"""From two answers to a verdict: a second distance, the weights of the scales."""
