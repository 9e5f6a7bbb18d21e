"""Pictures of results, of leakage and of studies, in one style."""
