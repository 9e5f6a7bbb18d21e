"""What all explorers share: controls beside a picture that follows them, panels, charts, verdicts in words."""
