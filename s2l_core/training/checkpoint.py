"""The state of an interrupted training, so that it goes on where it was."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from platformdirs import user_cache_path
from safetensors import SafetensorError
from torch import Tensor, nn

from ..errors import Speech2LipError
from ..files import write_whole

_KEPT_SECONDS = 30 * 24 * 3600.0
_KEY = "state"


@dataclass(frozen=True)
class State:
    """Where a training is.

    Attributes:
        tensors: Of networks, averaged and best weights, optimiser and random generators, by prefixed names.
        ready: Phases of the stages that are done.
        phase: Of the stage in progress; empty between two stages.
        step: That comes next.
        seconds: That the steps of the stage took.
        random: State of the stage's NumPy generator.
        best_figure: The best figure that was seen in the stage, and at which step.
    """

    tensors: dict[str, Tensor]
    ready: list[str]
    phase: str = ""
    step: int = 0
    seconds: float = 0.0
    random: dict[str, Any] = field(default_factory=dict)
    best_figure: float = 0.0
    best_step: int = 0

    @classmethod
    def between_stages(cls, networks: nn.Module, ready: list[str]) -> State:
        """The state between two stages."""
        return cls(_prefixed("network", networks.state_dict()), list(ready))

    def in_stage(
        self,
        phase: str,
        step: int,
        seconds: float,
        optimiser: torch.optim.Optimizer,
        averaged: dict[str, Tensor],
        random: np.random.Generator,
    ) -> State:
        """This state, before a step of a stage."""
        tensors = self.tensors | _prefixed("average", averaged)
        for number, values in optimiser.state_dict()["state"].items():
            tensors |= _prefixed(f"optimiser.{number}", values)
        tensors["random.cpu"] = torch.get_rng_state()
        if torch.cuda.is_initialized():
            tensors["random.cuda"] = torch.cuda.get_rng_state()
        state = dict(random.bit_generator.state)
        return replace(self, tensors=tensors, phase=phase, step=step, seconds=seconds, random=state)

    def with_best(self, best: dict[str, Tensor], figure: float, step: int) -> State:
        """This state, with the weights that did best in the stage so far."""
        return replace(self, tensors=self.tensors | _prefixed("best", best), best_figure=figure, best_step=step)

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors of one prefix, without it."""
        start = len(prefix) + 1
        return {name[start:]: tensor for name, tensor in self.tensors.items() if name.startswith(f"{prefix}.")}

    def restore_randomness(self, random: np.random.Generator) -> None:
        """Let NumPy's and torch's generators go on where they were."""
        random.bit_generator.state = self.random
        torch.set_rng_state(self.tensors["random.cpu"])
        if torch.cuda.is_available() and "random.cuda" in self.tensors:
            torch.cuda.set_rng_state(self.tensors["random.cuda"])

    def restore_optimiser(self, optimiser: torch.optim.Optimizer) -> None:
        fresh = optimiser.state_dict()
        numbers = [number for group in fresh["param_groups"] for number in group["params"]]
        fresh["state"] = {number: self.part(f"optimiser.{number}") for number in numbers}
        optimiser.load_state_dict(fresh)


@dataclass(frozen=True)
class Checkpoint:
    """A file in the user's cache for one training, which what it is trained from and how names.

    Attributes:
        path: The file.
    """

    path: Path

    @classmethod
    def of(cls, *identity: object) -> Checkpoint:
        """The checkpoint of the training that ``identity`` tells apart from all others.

        Args:
            identity: All that its result follows from, and nothing else: arrays, and what :func:`repr` shows whole.
        """
        folder = user_cache_path("speech2lip", ensure_exists=True) / "trainings"
        folder.mkdir(exist_ok=True)
        _forget_old(folder)
        digest = hashlib.blake2b(digest_size=16)
        for part in identity:
            digest.update(part.tobytes() if isinstance(part, np.ndarray) else repr(part).encode())
        return cls(folder / f"{digest.hexdigest()}.safetensors")

    @property
    def picture_path(self) -> Path:
        """Where a picture of the training lies beside it."""
        return self.path.with_suffix(".jpg")

    def load(self, networks: nn.Module) -> State | None:
        """What was saved; None if nothing was, or it cannot be read, or it is of other networks."""
        try:
            with safetensors.safe_open(str(self.path), "pt") as file:
                fields = json.loads(file.metadata()[_KEY])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            state = State(tensors, **fields)
        except (OSError, SafetensorError, ValueError, KeyError, TypeError):
            return None
        saved, wanted = state.part("network"), networks.state_dict()
        alike = saved.keys() == wanted.keys() and all(saved[name].shape == wanted[name].shape for name in wanted)
        return state if alike else None

    def save(self, state: State) -> None:
        """Take the place of what was saved before; where it cannot be written, training goes on without."""
        fields = {name: value for name, value in vars(state).items() if name != "tensors"}
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.tensors.items()}
        try:
            write_whole(str(self.path), safetensors.torch.save(tensors, {_KEY: json.dumps(fields)}))
        except Speech2LipError:
            return

    def forget(self) -> None:
        """Remove it and its picture."""
        self.path.unlink(missing_ok=True)
        self.picture_path.unlink(missing_ok=True)


def _prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def _forget_old(folder: Path) -> None:
    for path in folder.iterdir():
        if time.time() - path.stat().st_mtime > _KEPT_SECONDS:
            path.unlink(missing_ok=True)
