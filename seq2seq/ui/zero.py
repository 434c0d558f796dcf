"""ZeroGPU Spaces, where a GPU is lent for one call at a time to a process of its own.

The package ``spaces`` runs the function that it is given in a forked process which sees the GPU.
What goes there and comes back is pickled, so a folder and a request go and Translations come.
The process stays for the next call and keeps its models; this one keeps them on the CPU, checks
requests with them, and decodes there whenever no GPU is to be had.
"""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

from seq2seq.catalogue import locate
from seq2seq.occlusion import Occlusion
from seq2seq.pool import TranslatorPool
from seq2seq.translation import Translation
from seq2seq.translator import Translator

__all__ = ["SECONDS", "ZeroPool", "on_zero_gpu"]

SECONDS = 30
"""How long the GPU is asked for; longer requests wait longer and need more of a quota."""
_MODELS = 8  # that one process keeps
_log = logging.getLogger(__name__)

_Decode = Callable[[str, str, tuple[Any, ...], dict[str, Any]], Iterator[Any]]


def on_zero_gpu() -> bool:
    """Whether this is a ZeroGPU Space, by the variable that ``spaces`` itself looks at."""
    declared = os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")
    return declared and find_spec("spaces") is not None


class ZeroPool(TranslatorPool):
    """Translators that decode on the GPU of ZeroGPU.

    Make it before the page is launched: ``spaces`` wants to know its functions by then.

    Args:
        memory_budget_bytes: for the models in this process.
    """

    def __init__(self, memory_budget_bytes: int) -> None:
        # Here everything pretends that there is CUDA, so the CPU has to be asked for.
        super().__init__(memory_budget_bytes, device="cpu")
        spaces = importlib.import_module("spaces")
        self._decode: _Decode = spaces.GPU(_decode, duration=SECONDS)

    def get(self, name: str) -> Translator:
        """As :meth:`TranslatorPool.get`."""
        folder = str(locate(name).resolve())  # a name may lead elsewhere by the time it gets there
        return _ZeroTranslator(super().get(folder), folder, self._decode)


class _ZeroTranslator(Translator):
    """A translator that has its work done elsewhere.

    Args:
        here: the one in this process; everything else is shared with it.
        folder: of its checkpoint.
        decode: does the work, given folder, method and arguments.
    """

    def __init__(self, here: Translator, folder: str, decode: _Decode) -> None:
        vars(self).update(vars(here))
        self._here = here
        self._folder = folder
        self._decode = decode

    def translate(self, text: Any, **options: Any) -> Any:
        """As :meth:`Translator.translate`."""
        return self._one("translate", text, **options)

    def translate_stream(self, text: str, **options: Any) -> Iterator[Translation]:
        """As :meth:`Translator.translate_stream`."""
        # Says at once what is wrong with the request; decodes nothing before it is asked to.
        own = self._here.translate_stream(text, **options)
        return self._streamed(own, text, options)

    def occlusion(self, translation: Translation) -> Occlusion:
        """As :meth:`Translator.occlusion`."""
        found: Occlusion = self._one("occlusion", translation)
        return found

    def _one(self, method: str, *arguments: Any, **options: Any) -> Any:
        try:
            (found,) = self._decode(self._folder, method, arguments, options)
        except Exception as error:
            # Wrong requests as well: what is wrong with them does not come back from there.
            _log.info("decoded on the CPU: %s", error)
            return getattr(self._here, method)(*arguments, **options)
        return found

    def _streamed(
        self, own: Iterator[Translation], text: str, options: dict[str, Any]
    ) -> Iterator[Translation]:
        try:
            yield from self._decode(self._folder, "translate_stream", (text,), options)
        except Exception as error:
            _log.warning("decoded on the CPU: %s", error)
            yield from own


def _decode(
    folder: str, method: str, arguments: tuple[Any, ...], options: dict[str, Any]
) -> Iterator[Any]:
    """What a translator answers, in the process that has the GPU."""
    answer = getattr(_loaded(folder), method)(*arguments, **options)
    if method == "translate_stream":
        yield from answer
    else:
        yield answer


@lru_cache(maxsize=_MODELS)
def _loaded(folder: str) -> Translator:
    return Translator.load(folder)
