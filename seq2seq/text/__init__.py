"""Strings to ids and back; no tensors."""
