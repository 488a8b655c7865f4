"""Postpones the import of torch's compiler until something is compiled.

The first optimiser imports it, only to tell it to leave optimisers alone: with sympy, triton and
torch.distributed that is a quarter of the time that a training takes to start. Until anything else
of the compiler is used, a module with the two functions that optimisers call takes its place.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

COMPILER = "torch._dynamo"


def postpone_import(name: str = COMPILER) -> None:
    """Have the module `name`, unless it is imported already, imported when it is first used."""
    if name not in sys.modules:
        sys.modules[name] = _Postponed(name)


class _Postponed(ModuleType):
    """Answers optimisers itself, and everything else with the module, which it then imports."""

    def disable(self, function: Any = None, *args: Any, **options: Any) -> Any:
        """Nothing is compiled, so there is nothing that must not compile the function."""
        if function is None or not _is_waiting(self):
            return _import(self).disable(function, *args, **options)
        return function

    def graph_break(self, *args: Any, **options: Any) -> None:
        if not _is_waiting(self):
            _import(self).graph_break(*args, **options)

    def __getattr__(self, attribute: str) -> Any:
        # What looks through all modules asks for names such as __file__. A path is asked for
        # where a part of the module is imported.
        if attribute.startswith("__") and attribute != "__path__":
            raise AttributeError(attribute)
        return getattr(_import(self), attribute)


def _is_waiting(postponed: _Postponed) -> bool:
    return sys.modules.get(postponed.__name__) is postponed


def _import(postponed: _Postponed) -> Any:
    """The module itself, in place of the one that stands for it."""
    name = postponed.__name__
    if _is_waiting(postponed):
        del sys.modules[name]
        package, _, attribute = name.rpartition(".")
        if getattr(sys.modules.get(package), attribute, None) is postponed:
            delattr(sys.modules[package], attribute)
    return importlib.import_module(name)
