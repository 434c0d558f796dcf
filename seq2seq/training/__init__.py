"""Text to ids on disk, ids to a trained model."""
