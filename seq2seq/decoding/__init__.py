"""Search over any model that keeps the contract of ``nn/model.py``."""
