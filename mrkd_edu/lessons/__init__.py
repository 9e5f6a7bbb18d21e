"""What the lessons need and nothing else does."""
