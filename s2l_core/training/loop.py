"""The loop that every stage of training goes through: steps, averaged weights, checkpoints, a watchful eye."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ..cache import SAVE_SECONDS
from ..errors import Cancelled
from ..events import Report
from .checkpoint import Checkpoint, State

_AVERAGING = 0.99
_WARM_UP_SHARE = 0.1
_LOWEST_RATE = 1e-3
"""Share of the highest learning rate with which a stage begins and ends."""
_VALIDATIONS = 20


@dataclass(frozen=True)
class Stage:
    """One part of training.

    Attributes:
        phase: As progress reports call it.
        steps: How many.
        rates: Parameters that are learnt, with their highest learning rates.
        loss: The loss of one step; all its randomness comes from the generator and from torch.
        decay: Of the weights.
        patience: Stop where the watched figure has not risen for this share of the steps; None means never.
        seconds: Stop where the steps have taken as long. What comes out then depends on how fast the machine is.
    """

    phase: str
    steps: int
    rates: list[tuple[list[nn.Parameter], float]]
    loss: Callable[[np.random.Generator], Tensor]
    decay: float = 0.0
    patience: float | None = None
    seconds: float = math.inf

    def share(self, step: int, seconds: float) -> float:
        """How much of the stage is over after some steps that took so many seconds: all of it where none are left."""
        if self.steps <= 0 or self.seconds <= 0.0:
            return 1.0
        return max(step / self.steps, seconds / self.seconds)


class Loop:
    """Runs the stages of one training. What it does follows from seed and footage alone: a training that was
    interrupted and goes on from its checkpoint ends with the same numbers on the same processor. So each stage has
    randomness of its own, whatever was drawn before it.

    Args:
        networks: All that the stages learn, by name. They take the state of the checkpoint, if there is one.
        seed: Of all randomness.
        checkpoint: Where the state is kept.
        validate: Called now and then; returns a figure of quality on footage that is not trained on, in dB.
        report: Told the phases.
    """

    def __init__(
        self,
        networks: dict[str, nn.Module],
        seed: int,
        checkpoint: Checkpoint,
        validate: Callable[[], float],
        report: Report,
    ) -> None:
        self._networks = nn.ModuleDict(networks)
        self._checkpoint = checkpoint
        self._validate = validate
        self._report = report
        self._seed = seed
        self._ready: list[str] = []
        self._interrupted = checkpoint.load(self._networks)
        if self._interrupted is not None:
            self._networks.load_state_dict(self._interrupted.part("network"))
            self._ready = self._interrupted.ready
            report.log("info", "This training was interrupted before; it goes on from there.")
        elif checkpoint.exists:
            report.log("warning", "What was kept of this training cannot be used; it starts anew.")

    def run(self, stage: Stage) -> None:
        """Learn one stage: from where it was interrupted if it was, and not again if it was ready.

        Raises:
            Cancelled: The caller asked to stop. The checkpoint is kept.
        """
        if stage.phase in self._ready:
            return
        names = {parameter: name for name, parameter in self._networks.named_parameters()}
        learnt = {names[parameter]: parameter for parameters, _ in stage.rates for parameter in parameters}
        optimiser = torch.optim.AdamW(
            [{"params": parameters, "lr": rate, "highest": rate} for parameters, rate in stage.rates],
            weight_decay=stage.decay,
        )
        random = np.random.default_rng([self._seed, len(self._ready)])
        torch.manual_seed(int(random.integers(2**32)))
        averaged = _copies(learnt)
        best, best_figure, best_step, figure, step, seconds = averaged, -math.inf, 0, -math.inf, 0, 0.0
        state, self._interrupted = self._interrupted, None
        if state is not None and state.phase == stage.phase:
            averaged = _like(learnt, state.part("average"))
            best = _like(learnt, state.part("best")) or averaged
            step, seconds, best_step = state.step, state.seconds, state.best_step
            best_figure = -math.inf if state.best_figure is None else state.best_figure
            state.restore_optimiser(optimiser)
            state.restore_randomness(random)

        def keep() -> None:
            now = State.between_stages(self._networks, self._ready)
            now = now.in_stage(stage.phase, step, seconds, optimiser, averaged, random)
            self._checkpoint.save(now if stage.patience is None else now.with_best(best, best_figure, best_step))

        saved = time.monotonic()
        every = max(1, stage.steps // _VALIDATIONS)
        while (share := stage.share(step, seconds)) < 1.0:
            if step % every == 0:
                figure = self._validate_average(learnt, averaged)
                if stage.patience is not None and figure > best_figure:
                    best_figure, best_step, best = figure, step, _copies(averaged)
                elif stage.patience is not None and step - best_step > stage.patience * stage.steps:
                    break
            try:
                self._report.progress(stage.phase, step, stage.steps, _note(figure))
            except Cancelled:
                keep()
                raise
            if time.monotonic() - saved > SAVE_SECONDS:
                keep()
                saved = time.monotonic()
            begun = time.monotonic()
            for group in optimiser.param_groups:
                group["lr"] = group["highest"] * one_cycle(share)
            self._networks.train()
            with torch.autocast("cuda", torch.bfloat16, enabled=next(iter(learnt.values())).is_cuda):
                loss = stage.loss(random)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            newest = max(1 - _AVERAGING, 10 / (step + 10))
            for name, parameter in learnt.items():
                averaged[name].lerp_(parameter.detach(), newest)
            seconds += time.monotonic() - begun
            step += 1

        figure = self._validate_average(learnt, averaged)
        if stage.patience is None or figure > best_figure:
            best, best_figure = averaged, figure
        _put(learnt, best)
        self._networks.eval()
        self._ready = [*self._ready, stage.phase]
        self._checkpoint.save(State.between_stages(self._networks, self._ready))
        self._report.progress(stage.phase, stage.steps, stage.steps, _note(best_figure))

    def _validate_average(self, learnt: dict[str, nn.Parameter], averaged: dict[str, Tensor]) -> float:
        """The watched figure of the averaged weights."""
        current = _copies(learnt)
        _put(learnt, averaged)
        self._networks.eval()
        with torch.no_grad():
            figure = self._validate()
        _put(learnt, current)
        return figure


def _note(figure: float) -> str:
    return f"held-out {figure:.1f} dB" if math.isfinite(figure) else ""


def one_cycle(share: float) -> float:
    """The learning rate, as a share of its highest, after a share of the steps: up and down again by cosines."""
    if share < _WARM_UP_SHARE:
        rise = 0.5 - 0.5 * math.cos(math.pi * share / _WARM_UP_SHARE)
    else:
        rise = 0.5 + 0.5 * math.cos(math.pi * (share - _WARM_UP_SHARE) / (1 - _WARM_UP_SHARE))
    return _LOWEST_RATE + (1 - _LOWEST_RATE) * rise


def _copies(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in values.items()}


def _like(parameters: dict[str, nn.Parameter], values: dict[str, Tensor]) -> dict[str, Tensor]:
    """Values on the devices of the parameters."""
    return {name: value.to(parameters[name].device) for name, value in values.items()}


@torch.no_grad()
def _put(parameters: dict[str, nn.Parameter], values: dict[str, Tensor]) -> None:
    for name, parameter in parameters.items():
        parameter.copy_(values[name])
