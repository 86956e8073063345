"""A plan as a job of Flamenco 3 (https://flamenco.blender.org). Standard library only.

Flamenco's manager compiles a job to tasks with a script, ``scripts/speech2lip.js``, which a studio copies to the
manager once. What is sent to the manager is a document with the settings of that script.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .plan import Plan

JOB_FILE = "flamenco.json"
"""Name of the document in the folder of the plan."""
JOB_TYPE = "speech2lip"
JOB_TYPE_SCRIPT = Path(__file__).parent / "scripts" / f"{JOB_TYPE}.js"

_PLATFORMS = {"win32": "windows"}


def submission(plan: Plan, folder: str | Path, name: str, roots: Mapping[str, str], priority: int) -> dict[str, Any]:
    """The document that is sent to ``/api/v3/jobs`` of a manager, as JSON values.

    Args:
        plan: The plan.
        folder: Its folder, as this machine sees it. Flamenco maps it with its two-way variables.
        name: Name of the job for people.
        roots: Folders of roots, in which variables of the manager such as ``{show}`` may stand; those of the plan
            are used for the others.
        priority: 0 to 100; jobs with a higher one are done first.
    """
    folders = {**plan.roots, **roots}
    return {
        "name": name,
        "type": JOB_TYPE,
        "priority": priority,
        "submitter_platform": _PLATFORMS.get(sys.platform, sys.platform),
        "settings": {
            "plan": str(Path(folder).resolve()),
            "program": "s2l",
            "roots": json.dumps({root: folders[root] for root in sorted(plan.roots)}),
            "tasks": json.dumps([{"name": task.name, "needs": task.needs} for task in plan.tasks]),
        },
        "metadata": {"version": plan.version},
    }
