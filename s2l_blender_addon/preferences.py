"""What an installation remembers: the Python that runs the engine and the device."""

# Blender declares properties as annotations.
# mypy: disable-error-code="valid-type"

import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import bpy
from bpy.props import EnumProperty, StringProperty

from ..s2l_core.errors import EngineIncomplete
from ..s2l_core.jobs import Device
from .paths import EXTENSION, EXTENSION_FOLDER, python_in


class EngineSettings:
    """The properties of the add-on's preferences."""

    worker_python: StringProperty(
        name="Worker Python",
        description="The Python with PyTorch that runs the engine; empty to look for one",
        subtype="FILE_PATH",
    )
    base_python: StringProperty(
        name="Base Python",
        description="The Python, 3.11 or newer, that Set Up Engine makes the engine with; empty for Blender's own",
        subtype="FILE_PATH",
    )
    torch_build: EnumProperty(
        name="PyTorch Build",
        description="The build of PyTorch that Set Up Engine installs",
        items=(
            ("auto", "Automatic", "The build for the graphics driver of this machine"),
            ("cpu", "CPU", "The build without support for graphics cards, which is the smallest"),
            ("cu126", "CUDA 12.6", "The build for NVIDIA drivers that support CUDA 12.6"),
            ("cu130", "CUDA 13.0", "The build for NVIDIA drivers that support CUDA 13.0"),
            ("cu132", "CUDA 13.2", "The build for NVIDIA drivers that support CUDA 13.2"),
        ),
        default="auto",
    )
    device: EnumProperty(
        name="Device",
        description="What the engine computes on",
        items=(
            ("auto", "Automatic", "The graphics card where the engine can use it, otherwise the processor"),
            ("cpu", "CPU", "The processor"),
            ("cuda", "CUDA", "An NVIDIA graphics card"),
        ),
        default="auto",
    )
    engine_report: StringProperty(
        name="Engine Report", description="What the engine said of itself", options={"HIDDEN", "SKIP_SAVE"}
    )


@dataclass
class _Unset:
    """What holds where Blender was told to use the add-on for once (``--addons``) and keeps nothing of it."""

    worker_python: str = ""
    base_python: str = ""
    torch_build: str = "auto"
    device: Device = "auto"
    engine_report: str = ""


_unset = _Unset()


def settings(context: bpy.types.Context) -> EngineSettings | _Unset:
    add_on = context.preferences.addons.get(EXTENSION)
    return add_on.preferences if add_on else _unset


def engine_environment() -> Path:
    """Where Set Up Engine makes the engine; Blender removes the folder when the extension is uninstalled."""
    return Path(bpy.utils.extension_path_user(EXTENSION, path="engine")) / "environment"


def find_worker_python(context: bpy.types.Context) -> str:
    """The Python to run the engine with.

    It is the one of the preferences, or else of the environment variable ``S2L_WORKER_PYTHON``, or else the ``.venv``
    beside the add-on (a checkout of the project), or else that of Set Up Engine, or else Blender's own where PyTorch is
    installed in it.

    Raises:
        EngineIncomplete: There is none of them.
    """
    if chosen := settings(context).worker_python:
        return bpy.path.abspath(chosen)
    if named := os.environ.get("S2L_WORKER_PYTHON"):
        return named
    for checkout in (EXTENSION_FOLDER / ".venv/bin/python", EXTENSION_FOLDER / ".venv/Scripts/python.exe"):
        if checkout.is_file():
            return str(checkout)
    if (own := python_in(engine_environment())).is_file():
        return str(own)
    if importlib.util.find_spec("torch"):
        return sys.executable
    raise EngineIncomplete(
        "No Python with the engine's packages was found.",
        "Set up the engine, or choose one, in Edit > Preferences > Add-ons > Speech2Lip.",
    )
