"""Marian (OPUS-MT) checkpoints of the Hugging Face Hub, read into our own Transformer."""
