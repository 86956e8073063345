"""Testing models in a separate process, since a damaged model may crash the library that runs it."""

from __future__ import annotations

import subprocess
import sys
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from ..errors import LandmarksUnavailable

_SECONDS = 60
_PROGRAM = """
import sys
sys.path += sys.argv[1:]
try:
    import resource
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
except (ImportError, ValueError, OSError):
    pass  # not every system has bounds for processes
import numpy
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(model_content=sys.stdin.buffer.read(), num_threads=1)
interpreter.allocate_tensors()
for each in interpreter.get_input_details():
    interpreter.set_tensor(each["index"], numpy.zeros(each["shape"], each["dtype"]))
interpreter.invoke()
"""


@lru_cache(maxsize=8)
def refuse_harmful(model: bytes) -> None:
    """Run a TFLite model once in a separate process, and raise an error if that fails.

    Args:
        model: Content of the file.

    Raises:
        LandmarksUnavailable: The test failed, or took longer than a minute.
    """
    package = find_spec("ai_edge_litert")
    if package is None or package.origin is None:
        return  # LiteRT is missing, which is reported later
    try:
        trial = subprocess.run(
            [sys.executable, "-I", "-c", _PROGRAM, str(Path(package.origin).parents[1])],
            input=model,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LandmarksUnavailable("The landmark model could not be tested.") from error
    if trial.returncode:
        raise LandmarksUnavailable("The landmark model is damaged: it cannot be run.")
