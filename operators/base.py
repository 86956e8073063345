"""What operators have in common: they say why they are greyed out, and some of them run a job."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar

import bpy

from ..s2l_core.jobs import Job


class BaseOperator:
    """Mix-in for an operator whose greyed-out button says why."""

    bl_label: str  # Blender's, as are the next two
    report: Callable[[set[str], str], None]
    poll_message_set: ClassVar[Callable[[str], None]]

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        """Why the operator cannot run now, as a sentence without its period; empty if it can."""
        return ""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if reason := cls.disabled_reason(context):
            cls.poll_message_set(reason)
        return not reason


class JobOperator(BaseOperator):
    """Mix-in for an operator that runs a job.

    Blender stays usable while the job runs, and scenes and strips may be removed. Therefore subclasses keep names and
    numbers only, never references.
    """

    @abstractmethod
    def gather(self, context: bpy.types.Context) -> Job:
        """The complete job for the present context: nothing is looked up later.

        Raises:
            Speech2LipError: The settings, strips or files do not allow the job.
        """
