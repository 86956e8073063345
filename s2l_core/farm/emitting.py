"""Documents with which farms that exist run a plan, written into its folder. Standard library only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from ..errors import BadPlan
from ..files import write_whole
from . import flamenco, openjd
from .plan import Plan, read_plan

Farm = Literal["openjd", "flamenco"]
"""What runs the plan: anything that reads Open Job Description, such as AWS Deadline Cloud; or Flamenco 3."""
HIGHEST_PRIORITY = 100


def emit(folder: str | Path, farm: Farm, roots: Mapping[str, str], priority: int = 50) -> dict[str, Any]:
    """Write the documents of a farm into the folder of a plan.

    Args:
        folder: Folder of the plan.
        farm: What runs the plan.
        roots: Folders of roots on the machines of the farm; those of the plan are used for the others.
        priority: 0 to 100; jobs with a higher one are done first.

    Returns:
        JSON values: the files that were written, and the number of tasks.

    Raises:
        BadPlan: The folder holds no plan, a root is not one of it, or the priority is not within its bounds.
        CannotWrite, DiskFull: A file cannot be written.
    """
    plan = read_plan(folder)
    if unknown := sorted(set(roots) - set(plan.roots)):
        raise BadPlan(f"The plan has no root {unknown[0]}.", f"Its roots are: {', '.join(sorted(plan.roots))}.")
    if not 0 <= priority <= HIGHEST_PRIORITY:
        raise BadPlan(f"A priority of {priority} is not between 0 and {HIGHEST_PRIORITY}.")
    documents = _documents(plan, Path(folder), farm, roots, priority)
    for path, document in documents.items():
        write_whole(str(path), json.dumps(document, indent=1).encode() + b"\n")
    return {"farm": farm, "files": [str(path) for path in documents], "tasks": len(plan.tasks)}


def _documents(
    plan: Plan, folder: Path, farm: Farm, roots: Mapping[str, str], priority: int
) -> dict[Path, dict[str, Any]]:
    name = "".join(letter for letter in folder.resolve().name if letter.isprintable() and letter not in "{}")
    if farm == "flamenco":
        return {folder / flamenco.JOB_FILE: flamenco.submission(plan, folder, name, roots, priority)}
    return {
        folder / openjd.TEMPLATE_FILE: openjd.template(plan, name),
        folder / openjd.VALUES_FILE: openjd.parameter_values(plan, folder, roots, priority),
    }
