"""A plan as a job of Open Job Description (https://github.com/OpenJobDescription, version 2023-09), which AWS Deadline
Cloud and ``openjd-cli`` run. Standard library only.

Tasks of one job that do the same and need the same are a step: its tasks are the values of a parameter, and it depends
on the steps of the tasks that it needs. The folder of the plan and its roots are parameters of the type ``PATH``, so
that a farm maps them to the folders of each machine.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from .plan import Plan, Task, split_path

TEMPLATE_FILE, VALUES_FILE = "template.json", "parameter_values.json"
"""Names of the files of a job bundle, in the folder of the plan."""

_VERSION = "jobtemplate-2023-09"
_MOST_VALUES = 1024
"""Largest number of values of a parameter in a list."""
_LONGEST_STEP_NAME, _LONGEST_JOB_NAME = 64, 128
_SECONDS_TO_STOP = 30


def template(plan: Plan, name: str) -> dict[str, Any]:
    """The template of a job, as JSON values. It names no folder of this machine.

    Args:
        plan: The plan.
        name: Name of the job for people.
    """
    steps = list(_steps(plan))
    step_of = {task.name: title for title, tasks in steps for task in tasks}
    return {
        "specificationVersion": _VERSION,
        "name": name[:_LONGEST_JOB_NAME],
        "parameterDefinitions": [_program(), _plan_folder(), *(_root(plan, root) for root in sorted(plan.roots))],
        "steps": [_step(plan, title, tasks, step_of) for title, tasks in steps],
    }


def parameter_values(plan: Plan, folder: str | Path, roots: Mapping[str, str], priority: int) -> dict[str, Any]:
    """The values of the parameters on this machine, as JSON values of the file that Deadline Cloud reads.

    Args:
        plan: The plan.
        folder: Its folder.
        roots: Folders of roots on this machine; those of the plan are used for the others.
        priority: 0 to 100; jobs with a higher one are done first.
    """
    folders = {**plan.roots, **roots}
    values = {"deadline:priority": priority, "PlanFolder": str(Path(folder).resolve())}
    values |= {_parameter(root): folders[root] for root in sorted(plan.roots)}
    return {"parameterValues": [{"name": name, "value": value} for name, value in values.items()]}


def _steps(plan: Plan) -> Iterator[tuple[str, list[Task]]]:
    """Titles of the steps, and their tasks, in the order of the plan."""
    number = 0
    for _, group in groupby(plan.tasks, key=lambda task: (task.job, task.kind, task.needs)):
        while tasks := list(islice(group, _MOST_VALUES)):
            number += 1
            yield f"{number} {_common_name(tasks)}"[:_LONGEST_STEP_NAME], tasks


def _common_name(tasks: list[Task]) -> str:
    """What the names of tasks have in common: that of the first one without its number."""
    name = tasks[0].name
    return name if len(tasks) == 1 else name.rstrip("-_0123456789") or tasks[0].kind


def _step(plan: Plan, title: str, tasks: list[Task], step_of: dict[str, str]) -> dict[str, Any]:
    needed = sorted({step_of[name] for name in tasks[0].needs}, key=lambda other: int(other.split()[0]))
    step: dict[str, Any] = {"name": title}
    if needed:
        step["dependencies"] = [{"dependsOn": other} for other in needed]
    step["hostRequirements"] = _requirements(tasks)
    if len(tasks) > 1:
        values = {"name": "Task", "type": "STRING", "range": [task.name for task in tasks]}
        step["parameterSpace"] = {"taskParameterDefinitions": [values]}
    task_name = "{{Task.Param.Task}}" if len(tasks) > 1 else tasks[0].name
    step["script"] = {"actions": {"onRun": _action(plan, task_name)}}
    return step


def _action(plan: Plan, task_name: str) -> dict[str, Any]:
    roots = [f"{root}={{{{Param.{_parameter(root)}}}}}" for root in sorted(plan.roots)]
    options = [word for root in roots for word in ("--root", root)]
    return {
        "command": "{{Param.Program}}",
        "args": ["run", "{{Param.PlanFolder}}", task_name, *options],
        "cancelation": {"mode": "NOTIFY_THEN_TERMINATE", "notifyPeriodInSeconds": _SECONDS_TO_STOP},
    }


def _requirements(tasks: list[Task]) -> dict[str, Any]:
    """What a machine needs for any of some tasks."""
    amounts: list[dict[str, Any]] = [{"name": "amount.worker.vcpu", "min": 1}]
    if memory := max(task.memory_bytes for task in tasks):
        amounts.append({"name": "amount.worker.memory", "min": math.ceil(memory / 2**20)})
    if any(task.device == "cuda" for task in tasks):
        amounts.append({"name": "amount.worker.gpu", "min": 1})
    return {"amounts": amounts}


def _program() -> dict[str, Any]:
    return {
        "name": "Program",
        "type": "STRING",
        "default": "s2l",
        "description": "Command line of Speech2Lip on the machines of the farm.",
    }


def _plan_folder() -> dict[str, Any]:
    return {
        "name": "PlanFolder",
        "type": "PATH",
        "objectType": "DIRECTORY",
        "dataFlow": "INOUT",
        "default": ".",
        "description": "Folder of the plan, in which this template lies.",
    }


def _root(plan: Plan, root: str) -> dict[str, Any]:
    reads = any(split_path(path)[0] == root for task in plan.tasks for path in task.inputs)
    writes = any(split_path(path)[0] == root for task in plan.tasks for path in task.outputs)
    flows = {(True, True): "INOUT", (True, False): "IN", (False, True): "OUT", (False, False): "NONE"}
    return {
        "name": _parameter(root),
        "type": "PATH",
        "objectType": "DIRECTORY",
        "dataFlow": flows[reads, writes],
        "description": f"Folder of the root {root}.",
    }


def _parameter(root: str) -> str:
    """Name of the parameter of a root."""
    return f"Root_{root}"
