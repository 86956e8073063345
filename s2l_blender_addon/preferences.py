"""The preferences of the add-on: the Pythons, the build of PyTorch, the device, and the key of results."""

# Blender declares properties as annotations.
# mypy: disable-error-code="valid-type"

import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import bpy
from bpy.props import BoolProperty, EnumProperty, StringProperty

from ..s2l_core.errors import EngineIncomplete
from ..s2l_core.jobs import Device
from . import signing_key
from .paths import EXTENSION, EXTENSION_FOLDER, python_in


def _choose_key(own: bpy.types.AddonPreferences, context: bpy.types.Context) -> None:
    key, certificate = bpy.path.abspath(own.signing_key), bpy.path.abspath(own.signing_certificate)
    signing_key.choose(key, certificate, own.timestamp_server.strip())


class EngineSettings:
    """The properties of the add-on's preferences."""

    worker_python: StringProperty(
        name="Worker Python",
        description="Python with PyTorch that runs the engine; empty to find one automatically",
        subtype="FILE_PATH",
    )
    base_python: StringProperty(
        name="Base Python",
        description="Python 3.11 or newer with which Set Up Engine creates the engine; empty to use Blender's own",
        subtype="FILE_PATH",
    )
    torch_build: EnumProperty(
        name="PyTorch Build",
        description="Build of PyTorch that Set Up Engine installs",
        items=(
            ("auto", "Automatic", "Choose the build for the graphics driver of this machine"),
            ("cpu", "CPU", "Install the smallest build, without support for graphics cards"),
            ("cu126", "CUDA 12.6", "Install the build for NVIDIA drivers that support CUDA 12.6"),
            ("cu130", "CUDA 13.0", "Install the build for NVIDIA drivers that support CUDA 13.0"),
            ("cu132", "CUDA 13.2", "Install the build for NVIDIA drivers that support CUDA 13.2"),
        ),
        default="auto",
    )
    device: EnumProperty(
        name="Device",
        description="Processor that the engine computes on",
        items=(
            ("auto", "Automatic", "Use the graphics card if the engine supports it, otherwise the processor"),
            ("cpu", "CPU", "Use the processor"),
            ("cuda", "CUDA", "Use an NVIDIA graphics card"),
            ("mps", "Metal", "Use the GPU of an Apple Mac, which has not been tested yet"),
        ),
        default="auto",
    )
    signing_key: StringProperty(
        name="Signing Key",
        description="Private key (PEM) with which results are signed; empty to use a key made for this machine",
        subtype="FILE_PATH",
        update=_choose_key,
    )
    signing_certificate: StringProperty(
        name="Certificate",
        description="Certificate of the key and those of its issuers (PEM); empty if they are in the file of the key",
        subtype="FILE_PATH",
        update=_choose_key,
    )
    timestamp_server: StringProperty(
        name="Time Stamp Server",
        description="Address of a server that adds the time to signatures (RFC 3161); empty for no time",
        update=_choose_key,
    )
    sign_renders: BoolProperty(
        name="Sign Renders",
        description="Sign what Blender renders from scenes with dubs, speaking pictures or heads",
        default=True,
    )
    engine_report: StringProperty(
        name="Engine Report",
        description="Versions and devices that the engine has reported",
        options={"HIDDEN", "SKIP_SAVE"},
    )


@dataclass
class _Unset:
    """The defaults, for an add-on that is enabled for one session only (``--addons``) and has no preferences."""

    worker_python: str = ""
    base_python: str = ""
    torch_build: str = "auto"
    device: Device = "auto"
    sign_renders: bool = True
    engine_report: str = ""


_unset = _Unset()


def settings(context: bpy.types.Context) -> EngineSettings | _Unset:
    add_on = context.preferences.addons.get(EXTENSION)
    return add_on.preferences if add_on else _unset


def engine_environment() -> Path:
    """The environment that Set Up Engine creates, in a folder that Blender removes with the extension."""
    return Path(bpy.utils.extension_path_user(EXTENSION, path="engine")) / "environment"


def find_worker_python(context: bpy.types.Context) -> str:
    """The Python that runs the engine.

    It is the first one that exists of: the one in the preferences, the environment variable ``S2L_WORKER_PYTHON``, the
    ``.venv`` of a checkout of the project, the one of Set Up Engine, and Blender's own if it has PyTorch.

    Raises:
        EngineIncomplete: None of them exists.
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
        "Set up the engine, or choose a Python, in Edit > Preferences > Add-ons > Speech2Lip.",
    )


def register() -> None:
    """Choose the key that is stored in the preferences."""
    add_on = bpy.context.preferences.addons.get(EXTENSION)
    if add_on and add_on.preferences:
        _choose_key(add_on.preferences, bpy.context)


def unregister() -> None:
    signing_key.choose("", "", "")
