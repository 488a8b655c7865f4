"""Keeping the decoders of pictures off the terminal, where they would wreck the screen."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import logging
import threading
import warnings
from collections.abc import Iterator
from functools import cache

# Warnings are muted for the whole process, so only one thread at a time may do that.
_one_at_a_time = threading.Lock()


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Inside, Pillow and its libraries neither warn nor log nor print."""
    _mute_libtiff()
    log = logging.getLogger("PIL")
    if not log.handlers:
        # With no handler at all, Python itself would print what is logged.
        log.addHandler(logging.NullHandler())
    with _one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@cache
def _mute_libtiff() -> None:
    """libtiff prints every complaint on standard error by itself, unless told not to."""
    with contextlib.suppress(OSError, AttributeError):  # where it is built in, it has no handle
        library = ctypes.CDLL(importlib.import_module("PIL._imaging").__file__)
        for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
            set_handler = getattr(library, name)
            set_handler.argtypes = (ctypes.c_void_p,)
            set_handler.restype = ctypes.c_void_p
            set_handler(None)
