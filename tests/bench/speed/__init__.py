"""Parts of ``tests/bench/engines.py``: the same work by us, transformers and CTranslate2, timed."""
