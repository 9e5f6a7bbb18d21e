"""mrkd_edu: learn anomaly detection with masked reverse knowledge distillation (MRKD)."""

__version__ = "0.1.0"
