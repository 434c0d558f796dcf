"""Seq2Seq Explorer: translate a sentence and see how."""
