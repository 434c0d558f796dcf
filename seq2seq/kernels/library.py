"""Build the operators once, keep them in the user's cache, load them."""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
from functools import cache
from pathlib import Path

from seq2seq.kernels.processors import own_processors

__all__ = ["build", "load", "loaded", "opened", "set_threads", "threads", "wanted_threads"]

_log = logging.getLogger(__name__)

_SOURCE = Path(__file__).parent / "source"
_FLAGS = (
    "-std=c++17",
    "-O3",
    "-march=native",
    "-mprefer-vector-width=512",
    "-fopenmp-simd",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-shared",
    "-fPIC",
    "-fvisibility=hidden",
    "-pthread",
)
_PATIENCE = 300  # seconds for the compiler
_OPERATORS = (
    "pack", "linear", "lookup", "largest", "propose",
    "encode_transformer", "step_transformer", "read_layer", "step_recurrent",
)  # fmt: skip

_lock = threading.Lock()
_opened: list[ctypes.CDLL] = []  # the library, once it is loaded


def loaded() -> bool:
    """Whether the operators can be called."""
    return bool(_opened)


def opened() -> ctypes.CDLL:
    """The library, whose functions run without Python's lock.

    Raises:
        RuntimeError: it is not loaded.
    """
    if not _opened:
        raise RuntimeError("the operators are not loaded")
    return _opened[0]


def threads() -> int:
    """Threads that share the work of one caller; 0 without the operators."""
    return int(opened().seq2seq_threads()) if _opened else 0


def set_threads(count: int) -> None:
    """Have so many threads share the work of one caller, from now on, in the whole process.

    PyTorch's too, if it is loaded; if it is loaded later, see :func:`wanted_threads`.
    """
    _wanted[:] = [count]
    if _opened:
        opened().seq2seq_set_threads(count)
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(count)


def wanted_threads() -> int | None:
    """What :func:`set_threads` was told last."""
    return _wanted[0] if _wanted else None


_wanted: list[int] = []  # threads, if anybody has said


def load() -> bool:
    """Load the operators if they have been built before; whether they are there."""
    with _lock:
        return _load()


def build() -> bool:
    """Build the operators if need be, which takes some seconds, and load them.

    Returns:
        Whether they are there: not without a compiler, and not on every processor. Environment
        variable ``SEQ2SEQ_KERNELS=off`` does without.
    """
    with _lock:
        if _load():
            return True
        if _unwanted():
            return False
        try:
            _compile(_path())
        except (OSError, subprocess.SubprocessError) as error:
            _log.info("the operators are not built: %s", _cause(error))
            return False
        return _load()


def _load() -> bool:
    if _opened or _unwanted():
        return bool(_opened)
    try:
        path = _path()
        if not path.exists():
            return False
        _own(path)
        library = _open(path)
    except (OSError, AttributeError) as error:
        _log.info("the operators are not loaded: %s", _cause(error))
        return False
    library.seq2seq_set_threads(wanted_threads() or own_processors())
    _opened.append(library)
    return True


def _open(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    library.seq2seq_error.restype = ctypes.c_char_p
    library.seq2seq_threads.restype = ctypes.c_int64
    library.seq2seq_set_threads.argtypes = [ctypes.c_int64]
    library.seq2seq_set_threads.restype = None
    library.seq2seq_bytes.argtypes = [ctypes.c_int64, ctypes.c_int64]
    library.seq2seq_bytes.restype = ctypes.c_int64
    for name in _OPERATORS:
        operator = getattr(library, f"seq2seq_{name}")
        operator.argtypes = [ctypes.c_char_p]
        operator.restype = ctypes.c_int
    return library


def _unwanted() -> bool:
    return os.environ.get("SEQ2SEQ_KERNELS", "").lower() in ("off", "0", "no")


def _compile(path: Path) -> None:
    """Into a temporary name first, so that nobody ever loads half a library."""
    compiler = next(filter(None, map(shutil.which, _compilers())), None)
    if compiler is None or sys.platform == "win32":
        raise FileNotFoundError("no C++ compiler (c++, g++ or clang++)")
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        fresh = Path(scratch) / path.name
        command = [compiler, *_FLAGS, str(_SOURCE / "operators.cpp")]
        subprocess.run(  # noqa: S603  (no shell, no word of a user)
            [*command, "-o", str(fresh)],
            check=True,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            preexec_fn=_politely,
        )
        fresh.replace(path)


def _compilers() -> tuple[str, ...]:
    return (*os.environ.get("CXX", "").split()[:1], "c++", "g++", "clang++")


def _politely() -> None:
    """The compiler gives way to whoever translates meanwhile."""
    os.nice(10)


@cache
def _path() -> Path:
    """Where the library of these sources and this processor lies."""
    digest = hashlib.sha256()
    for part in (*_FLAGS, platform.machine(), _processor()):
        digest.update(part.encode() + b"\0")
    for file in sorted(_SOURCE.iterdir()):
        digest.update(file.read_bytes())
    return _folder() / f"operators-{digest.hexdigest()[:24]}.so"


def _processor() -> str:
    """What ``-march=native`` depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")


def _folder() -> Path:
    """A folder that nobody else can write to: code is loaded from it."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    name = "seq2seq-explorer"
    for folder in (Path(home) / name, Path(tempfile.gettempdir()) / f"{name}-{os.getuid()}"):
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _own(folder)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    raise FileNotFoundError("no folder for the operators")


def _own(path: Path) -> None:
    """Refuse what others can change.

    Raises:
        PermissionError: another's, or writable by others.
    """
    found = path.lstat()
    if found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o022:
        raise PermissionError(f"{path} can be changed by others")


def _cause(error: Exception) -> str:
    """One line: the compiler's first error, or what the system says."""
    words = getattr(error, "stderr", None) or str(error)
    lines = [line for line in words.splitlines() if "error" in line] or words.splitlines()
    return lines[0] if lines else type(error).__name__
