"""Keeps warnings and messages of image decoders off the terminal, where they break the screen."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import logging
import threading
import warnings
from collections.abc import Iterator
from functools import cache

# Warning filters belong to the whole process: only one thread at a time may change them.
_filters_lock = threading.Lock()


@contextlib.contextmanager
def silence_decoders() -> Iterator[None]:
    """Inside, Pillow and its libraries neither warn nor log nor print."""
    _silence_libtiff()
    log = logging.getLogger("PIL")
    if not log.handlers:
        # Without any handler, Python prints log messages itself.
        log.addHandler(logging.NullHandler())
    with _filters_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@cache
def _silence_libtiff() -> None:
    """Remove libtiff's own error handlers, which print on standard error."""
    with contextlib.suppress(OSError, AttributeError):  # statically linked: no such symbols
        library = ctypes.CDLL(importlib.import_module("PIL._imaging").__file__)
        for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
            set_handler = getattr(library, name)
            set_handler.argtypes = (ctypes.c_void_p,)
            set_handler.restype = ctypes.c_void_p
            set_handler(None)
