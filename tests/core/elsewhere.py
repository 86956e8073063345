"""Stands in for a GPU: tensors stay in memory, but are known to be on another device.

The code under test takes ``DEVICE`` for the device that it computes on. What a real device refuses is noted: arithmetic
with tensors of both places, and reading tensors as NumPy arrays; and 64-bit floats, which Apple's device does not have.
"""

from __future__ import annotations

import importlib
import traceback
import weakref
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as tree

DEVICE = torch.device("cpu", 0)  # to PyTorch another name of the CPU
_MAKES_PARAMETERS = "_make_subclass"
_WIDE = (torch.float64, torch.complex128)
_CROSSING = ("to", "copy_", "__set__", "__get__", "type_as", "set_", "_has_compatible_shallow_copy_type")
"""Functions that take tensors of both places."""
_TO_NUMPY = ("numpy", "__array__")
_WAITING = ("cpu", "item", "tolist", "__bool__", "__int__", "__float__", "__index__", "nonzero", "equal", "allclose")
"""Functions whose results the CPU waits for."""


class Elsewhere(TorchFunctionMode):
    """While it is entered, follows what is on ``DEVICE``: what is made or brought there, and what follows from that.

    Attributes:
        count: Number of results that were there.
        wide: Lines of the library that computed 64-bit floats there.
        mixed: Lines that computed with tensors of both places.
        read: Lines that read tensors there as NumPy arrays.
        waits: Lines at which the CPU waited for a result, with how often they did.
    """

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.wide: set[str] = set()
        self.mixed: set[str] = set()
        self.read: set[str] = set()
        self.waits: Counter[str] = Counter()
        self._make_parameter: Any = None
        self._there: dict[int, weakref.ref[torch.Tensor]] = {}

    def __enter__(self) -> Elsewhere:
        importlib.import_module("torch._dynamo")  # it looks at what is replaced here when it is imported
        make: Any = getattr(torch.Tensor, _MAKES_PARAMETERS)
        self._make_parameter = make

        def noted(kind: Any, data: torch.Tensor, *rest: Any) -> torch.Tensor:
            parameter: torch.Tensor = make(kind, data, *rest)
            if self._holds(data):
                self._note(parameter)
            return parameter

        setattr(torch.Tensor, _MAKES_PARAMETERS, staticmethod(noted))  # modes do not see it
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        setattr(torch.Tensor, _MAKES_PARAMETERS, staticmethod(self._make_parameter))
        super().__exit__(*error)

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if function == torch.Tensor.device.__get__ and self._holds(args[0]):
            return DEVICE
        self._judge(function, args, kwargs)
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

    def _judge(self, function: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> None:
        """Note what a real device would refuse, or make the CPU wait for."""
        name = getattr(function, "__name__", "")
        tensors = [part for part in tree.tree_leaves((args, kwargs)) if isinstance(part, torch.Tensor)]
        there = [tensor for tensor in tensors if self._holds(tensor)]
        if not there:
            return
        if name in _TO_NUMPY:
            self.read.add(_line())
        if name in _WAITING:
            self.waits[_line()] += 1
        here = [tensor for tensor in tensors if not self._holds(tensor) and tensor.dim() > 0]
        if not here or name in _CROSSING:
            return
        if name in ("__getitem__", "__setitem__") and self._holds(args[0]):
            # Indices may be on the CPU, where they are often computed; values may not.
            here = [value for value in args[2:] if isinstance(value, torch.Tensor) and not self._holds(value)]
            here = [value for value in here if value.dim() > 0]
        if here:
            self.mixed.add(f"{_line()} ({name})")

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
            self.wide.add(_line())


def _line() -> str:
    """The line of the library that called last."""
    lines = [frame for frame in traceback.extract_stack() if "s2l_core" in Path(frame.filename).parts]
    return f"{lines[-1].filename}:{lines[-1].lineno}" if lines else "outside of the library"


def _is_device(value: Any) -> bool:
    is_name = isinstance(value, str) and value.partition(":")[0] in ("cpu", "meta", "cuda", "mps")
    return is_name or isinstance(value, torch.device)
