"""Checkpoints: the state from which an interrupted training, or an interrupted fit, is resumed."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .. import tensor_file
from ..cache import SAVE_SECONDS, Cache
from ..errors import Speech2LipError
from ..files import write_whole
from ..model.steps import Steps, all_steps

_KEY = "state"


@dataclass(frozen=True)
class State:
    """The state of a training.

    Attributes:
        tensors: Tensors of the networks, the averaged and best weights, the optimiser and the random generators, by
            prefixed names.
        ready: Phases of the stages that are done.
        phase: Phase of the stage in progress; empty between two stages.
        step: Number of the next step.
        seconds: Time that the steps of the stage have taken.
        random: State of the stage's NumPy generator.
        groups: Parameter groups of the optimiser, with learning rates and other settings.
        best_figure: Highest validation figure of the stage; None if none was a finite number.
        best_step: Step at which it was reached.
    """

    tensors: dict[str, Tensor]
    ready: list[str]
    phase: str = ""
    step: int = 0
    seconds: float = 0.0
    random: dict[str, Any] = field(default_factory=dict)
    groups: list[dict[str, Any]] = field(default_factory=list)
    best_figure: float | None = 0.0
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
        """This state, extended by a stage in progress."""
        tensors = self.tensors | _prefixed("average", averaged)
        of_optimiser = optimiser.state_dict()
        for number, values in of_optimiser["state"].items():
            tensors |= _prefixed(f"optimiser.{number}", values)
        tensors["random.cpu"] = torch.get_rng_state()
        if torch.cuda.is_initialized():
            tensors["random.cuda"] = torch.cuda.get_rng_state()
        if torch.backends.mps.is_available():
            tensors["random.mps"] = torch.mps.get_rng_state()
        state, groups = dict(random.bit_generator.state), of_optimiser["param_groups"]
        return replace(self, tensors=tensors, phase=phase, step=step, seconds=seconds, random=state, groups=groups)

    def with_best(self, best: dict[str, Tensor], figure: float, step: int) -> State:
        """This state, extended by the best weights of the stage so far."""
        return replace(self, tensors=self.tensors | _prefixed("best", best), best_figure=figure, best_step=step)

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors of one prefix, with the prefix removed from their names."""
        start = len(prefix) + 1
        return {name[start:]: tensor for name, tensor in self.tensors.items() if name.startswith(f"{prefix}.")}

    def restore_randomness(self, random: np.random.Generator) -> None:
        """Restore the generators of NumPy and torch."""
        random.bit_generator.state = self.random
        torch.set_rng_state(self.tensors["random.cpu"])
        if torch.cuda.is_available() and "random.cuda" in self.tensors:
            torch.cuda.set_rng_state(self.tensors["random.cuda"])
        if torch.backends.mps.is_available() and "random.mps" in self.tensors:
            torch.mps.set_rng_state(self.tensors["random.mps"])

    def restore_optimiser(self, optimiser: torch.optim.Optimizer) -> None:
        numbers = [number for group in self.groups for number in group["params"]]
        state = {number: self.part(f"optimiser.{number}") for number in numbers}
        optimiser.load_state_dict({"state": state, "param_groups": self.groups})


@dataclass(frozen=True)
class Checkpoint:
    """A file for the state of a training, or of one fit in it.

    Attributes:
        path: The file; with None, nothing is saved.
    """

    path: Path | None

    @property
    def exists(self) -> bool:
        """Whether the file exists, readable or not."""
        return self.path is not None and self.path.exists()

    @property
    def picture_path(self) -> Path | None:
        """Path of the preview picture beside the file."""
        return None if self.path is None else self.path.with_suffix(".jpg")

    def load(self, networks: nn.Module) -> State | None:
        """The saved state; None if there is none, if it is damaged, or if it belongs to other networks."""
        if self.path is None:
            return None
        try:
            fields, tensors = tensor_file.unpack(self.path.read_bytes(), _KEY)
            state = State(tensors, **fields)
        except (OSError, TypeError, ValueError):
            return None
        saved, wanted = state.part("network"), networks.state_dict()
        alike = saved.keys() == wanted.keys() and all(saved[name].shape == wanted[name].shape for name in wanted)
        return state if alike else None

    def save(self, state: State) -> None:
        """Replace the saved state. If the file cannot be written, training continues without it."""
        if self.path is None:
            return
        fields = {name: value for name, value in vars(state).items() if name != "tensors"}
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.tensors.items()}
        try:
            write_whole(str(self.path), tensor_file.pack(tensors, _KEY, fields))
        except Speech2LipError:
            return


def resumable_steps(cache: Cache, name: str) -> Steps:
    """Steps of a fit that saves its state every 10 s under a name, and resumes from it."""
    path = cache.path(name)
    if path is None:
        return all_steps
    checkpoint = Checkpoint(path)

    def count(
        steps: int, network: nn.Module, optimiser: torch.optim.Optimizer, random: np.random.Generator
    ) -> Iterable[int]:
        first, state = 0, checkpoint.load(network)
        if state is not None:
            first = state.step
            network.load_state_dict(state.part("network"))
            state.restore_optimiser(optimiser)
            state.restore_randomness(random)
        saved = time.monotonic()
        for step in range(first, steps):
            if time.monotonic() - saved > SAVE_SECONDS:
                now = State.between_stages(network, [])
                checkpoint.save(now.in_stage("", step, 0.0, optimiser, {}, random))
                saved = time.monotonic()
            yield step

    return count


def _prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}
