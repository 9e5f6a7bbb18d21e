"""Explorers: move masking, distance and overgeneralisation with your own hand. Each is one call in a notebook."""
