"""Stands in for a device without 64-bit floats, such as Apple's: tensors stay in memory, but are known to be there.

The code under test takes ``DEVICE`` for the device that it computes on.
"""

from __future__ import annotations

import traceback
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as tree

DEVICE = torch.device("cpu", 0)  # to PyTorch another name of the CPU
_WIDE = (torch.float64, torch.complex128)


class Elsewhere(TorchFunctionMode):
    """While it is entered, follows what is on ``DEVICE``: what is made or brought there, and what follows from that.

    Attributes:
        count: Number of results that were there.
        wide: Lines of the library that computed 64-bit floats there.
    """

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.wide: set[str] = set()
        self._there: dict[int, weakref.ref[torch.Tensor]] = {}

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if function == torch.Tensor.device.__get__ and self._holds(args[0]):
            return DEVICE
        is_there = self._leads_there(function, args, kwargs)
        result = function(*args, **kwargs)
        if getattr(function, "__name__", "") == "__set__":  # of what a parameter holds
            result = args[0]
        if not is_there and self._holds(result):
            return result.view_as(result)  # it leaves, and no copy was made, since both places are memory
        for part in tree.tree_leaves(result) if is_there else ():
            if isinstance(part, torch.Tensor):
                self._note(part)
        return result

    def _leads_there(self, function: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> bool:
        """Whether results of a call are on the device."""
        name = getattr(function, "__name__", "")
        devices = [part for part in (*args, *kwargs.values()) if _is_device(part)]
        if devices:
            return torch.device(devices[-1]) == DEVICE
        if name == "cpu":
            return False
        if name == "to":
            return self._holds(args[1] if isinstance(args[1], torch.Tensor) else args[0])
        if name == "__set__":
            return self._holds(args[1])
        if name == "__setitem__" or (name.endswith("_") and not name.endswith("__")):  # in place
            return self._holds(args[0] if args else kwargs.get("tensor"))
        return any(map(self._holds, tree.tree_leaves((args, kwargs))))

    def _holds(self, value: Any) -> bool:
        return isinstance(value, torch.Tensor) and id(value) in self._there

    def _note(self, tensor: torch.Tensor) -> None:
        key = id(tensor)
        self._there[key] = weakref.ref(tensor, lambda _: self._there.pop(key, None))
        self.count += 1
        if tensor.dtype in _WIDE:
            lines = [frame for frame in traceback.extract_stack() if "s2l_core" in Path(frame.filename).parts]
            self.wide.add(f"{lines[-1].filename}:{lines[-1].lineno}" if lines else "outside of the library")


def _is_device(value: Any) -> bool:
    is_name = isinstance(value, str) and value.partition(":")[0] in ("cpu", "meta", "cuda", "mps")
    return is_name or isinstance(value, torch.device)
