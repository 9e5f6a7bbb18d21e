"""Experiments with detectors: one run, its evaluation, baselines, benchmarks, and what copying costs."""
