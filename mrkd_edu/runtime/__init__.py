"""What makes work safe and quick on any machine, and knows nothing of detectors."""
