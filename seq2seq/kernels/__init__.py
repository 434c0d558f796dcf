"""The operators of ``source/``, built for this machine where it has a compiler.

A step of a decoder is some hundred small operations; one operator that makes all of them takes a
fraction of the time. They are plain C functions on arrays, so that whoever translates with them
needs no PyTorch in memory. Where they cannot be built, models run on PyTorch's own operators.
"""

from seq2seq.kernels.library import (
    build,
    load,
    loaded,
    set_threads,
    threads,
    wanted_threads,
)

__all__ = ["build", "load", "loaded", "set_threads", "threads", "wanted_threads"]
