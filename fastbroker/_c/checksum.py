"""CRC-32C: the function of the crc32c package, taken from its extension module.

The package itself imports importlib.metadata for its version number, and with that the e-mail and
zip libraries: a tenth of the time that a broker needs to start.
"""
from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.machinery import PathFinder
from typing import Any, cast


def _extension() -> Any:
    package = PathFinder.find_spec("crc32c")
    inside = package.submodule_search_locations if package is not None else None
    spec = PathFinder.find_spec("_crc32c", inside) if inside else None
    if spec is None or spec.loader is None:
        import crc32c  # laid out in another way: then as everybody does it

        return crc32c
    module = spec.loader.create_module(spec)
    assert module is not None
    sys.modules.setdefault("crc32c._crc32c", module)
    spec.loader.exec_module(module)
    return module


crc32c = cast(Callable[..., int], _extension().crc32c)
