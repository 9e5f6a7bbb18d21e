"""The explorers: each one idea, moved by hand."""
