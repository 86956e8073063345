"""The training loop that all stages share: optimisation steps, averaged weights, validation and checkpoints."""

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
"""Decay of the exponential moving average of the weights."""
_WARM_UP_SHARE = 0.1
_LOWEST_RATE = 1e-3
"""Learning rate at the first and the last step, as a share of the highest."""
_VALIDATIONS, _PREVIEWS = 20, 6
"""Number of validations in a stage that may stop early by them, and in one that only reports them: for 71 s of footage,
twenty took as long as a sixth of the steps in which speech is learned.
"""


@dataclass(frozen=True)
class Stage:
    """One stage of training.

    Attributes:
        phase: Its name in progress reports and checkpoints.
        steps: Number of optimisation steps.
        rates: Groups of parameters with the highest learning rate of each; all other parameters stay as they are.
        loss: Computes the loss of one step, a scalar. It must take all randomness from the generator and from torch.
        decay: Weight decay of AdamW. A larger one keeps weights smaller, against over-fitting.
        patience: Share of the steps after which the stage stops if the validation figure has not risen; None never
            stops early. A larger one survives longer plateaus and costs time.
        seconds: Time limit. If it ends the stage, the result depends on the speed of the machine.
        betas: Decay of AdamW's averages of gradients and of their squares. Where networks learn from each other, the
            first one is lower, since older gradients do not apply any more.
    """

    phase: str
    steps: int
    rates: list[tuple[list[nn.Parameter], float]]
    loss: Callable[[np.random.Generator], Tensor]
    decay: float = 0.0
    patience: float | None = None
    seconds: float = math.inf
    betas: tuple[float, float] = (0.9, 0.999)

    def share(self, step: int, seconds: float) -> float:
        """Share of the stage that is done after a number of steps and seconds; 1 or more if it is over."""
        if self.steps <= 0 or self.seconds <= 0.0:
            return 1.0
        return max(step / self.steps, seconds / self.seconds)


class Loop:
    """Runs the stages of one training.

    The result is determined by the seed and the footage. On the same processor, a training that was interrupted and
    resumed from its checkpoint ends with the same numbers: each stage has a random generator of its own, so it does not
    depend on how many random numbers were drawn before it.

    Args:
        networks: All networks that the stages train, by name. If there is a checkpoint, they take its weights.
        seed: Seed of all randomness.
        checkpoint: File that keeps the state.
        validate: Computes the PSNR in dB on footage that is not trained on; called a few times in each stage.
        report: Receives the phases of the stages.
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
            report.log("info", "Resuming this training where it was interrupted.")
        elif checkpoint.exists:
            report.log("warning", "The saved state of this training is unusable; the training starts over.")

    def run(self, stage: Stage) -> None:
        """Train one stage, from its checkpoint if it was interrupted. A stage that is done is skipped.

        Raises:
            Cancelled: The caller asked to stop; the checkpoint is kept.
        """
        if stage.phase in self._ready:
            return

        # Set up optimiser, averages and randomness, or restore them from the checkpoint.
        run = self._begin(stage)
        saved = time.monotonic()
        every = max(1, stage.steps // (_PREVIEWS if stage.patience is None else _VALIDATIONS))
        figure = -math.inf
        while (share := stage.share(run.step, run.seconds)) < 1.0:
            # Validate the averaged weights, keep the best, and stop early if they no longer improve.
            if run.step % every == 0:
                figure = self._validate_average(run)
                if not run.goes_on_after(figure):
                    break

            # Report progress, save a checkpoint every few seconds, and save one when the job is cancelled.
            try:
                self._report.progress(stage.phase, run.step, stage.steps, _note(figure))
            except Cancelled:
                self._save(run)
                raise
            if time.monotonic() - saved > SAVE_SECONDS:
                self._save(run)
                saved = time.monotonic()

            # Forward, backward, update: AdamW at the learning rate of the one-cycle schedule.
            begun = time.monotonic()
            for group in run.optimiser.param_groups:
                group["lr"] = group["highest"] * one_cycle(share)
            self._networks.train()
            with torch.autocast(run.device.type, torch.bfloat16, enabled=run.device.type == "cuda"):
                loss = stage.loss(run.random)
            run.optimiser.zero_grad()
            loss.backward()
            run.optimiser.step()

            # Update the moving average of the weights, which counts new weights more during the first steps.
            run.update_average()
            run.seconds += time.monotonic() - begun
            run.step += 1

        # Put the best averaged weights into the networks, and record that the stage is done.
        figure = self._validate_average(run)
        run.take_last(figure)
        _put(run.parameters, run.best)
        self._networks.eval()
        self._ready = [*self._ready, stage.phase]
        self._checkpoint.save(State.between_stages(self._networks, self._ready))
        self._report.progress(stage.phase, stage.steps, stage.steps, _note(run.best_figure))

    def _begin(self, stage: Stage) -> _StageRun:
        """Begin a stage, or resume it if the checkpoint was saved in the middle of it."""
        names = {parameter: name for name, parameter in self._networks.named_parameters()}
        parameters = {names[parameter]: parameter for group, _ in stage.rates for parameter in group}
        optimiser = torch.optim.AdamW(
            [{"params": group, "lr": rate, "highest": rate} for group, rate in stage.rates],
            betas=stage.betas,
            weight_decay=stage.decay,
        )
        random = np.random.default_rng([self._seed, len(self._ready)])
        torch.manual_seed(int(random.integers(2**32)))
        run = _StageRun(stage, parameters, optimiser, random)
        state, self._interrupted = self._interrupted, None
        if state is not None and state.phase == stage.phase:
            run.restore(state)
        return run

    def _save(self, run: _StageRun) -> None:
        """Save a checkpoint in the middle of a stage."""
        self._checkpoint.save(run.added_to(State.between_stages(self._networks, self._ready)))

    def _validate_average(self, run: _StageRun) -> float:
        """The validation figure of the averaged weights, in dB."""
        current = _copies(run.parameters)
        _put(run.parameters, run.averaged)
        self._networks.eval()
        with torch.no_grad():
            figure = self._validate()
        _put(run.parameters, current)
        return figure


class _StageRun:
    """Everything that changes while a stage runs.

    Args:
        stage: The stage.
        parameters: The parameters that it trains, by name.
        optimiser: Updates them.
        random: Generator of the stage.
    """

    def __init__(
        self,
        stage: Stage,
        parameters: dict[str, nn.Parameter],
        optimiser: torch.optim.Optimizer,
        random: np.random.Generator,
    ) -> None:
        self._stage = stage
        self.parameters = parameters
        self.optimiser = optimiser
        self.random = random
        self.step, self.seconds = 0, 0.0
        self.averaged = _copies(parameters)
        self.best, self.best_figure, self._best_step = self.averaged, -math.inf, 0

    @property
    def device(self) -> torch.device:
        """The device on which the stage learns; on a CUDA device it uses mixed precision."""
        return next(iter(self.parameters.values())).device

    def goes_on_after(self, figure: float) -> bool:
        """Whether the stage goes on after a validation. With patience, the best averaged weights are kept."""
        if self._stage.patience is None:
            return True
        if figure > self.best_figure:
            self.best_figure, self._best_step, self.best = figure, self.step, _copies(self.averaged)
            return True
        return self.step - self._best_step <= self._stage.patience * self._stage.steps

    def take_last(self, figure: float) -> None:
        """Take the last averaged weights for the best ones, unless earlier ones had a higher figure."""
        if self._stage.patience is None or figure > self.best_figure:
            self.best, self.best_figure = self.averaged, figure

    def update_average(self) -> None:
        newest = max(1 - _AVERAGING, 10 / (self.step + 10))
        for name, parameter in self.parameters.items():
            self.averaged[name].lerp_(parameter.detach(), newest)

    def added_to(self, state: State) -> State:
        """A state between two stages with that of this run added."""
        state = state.in_stage(self._stage.phase, self.step, self.seconds, self.optimiser, self.averaged, self.random)
        if self._stage.patience is None:
            return state
        return state.with_best(self.best, self.best_figure, self._best_step)

    def restore(self, state: State) -> None:
        """Restore everything from a state that :meth:`added_to` made."""
        self.averaged = _like(self.parameters, state.part("average"))
        self.best = _like(self.parameters, state.part("best")) or self.averaged
        self.step, self.seconds, self._best_step = state.step, state.seconds, state.best_step
        self.best_figure = -math.inf if state.best_figure is None else state.best_figure
        state.restore_optimiser(self.optimiser)
        state.restore_randomness(self.random)


def _note(figure: float) -> str:
    return f"held-out {figure:.1f} dB" if math.isfinite(figure) else ""


def one_cycle(share: float) -> float:
    """Learning rate after a share of the steps, relative to the highest: it rises and falls along cosines."""
    if share < _WARM_UP_SHARE:
        rise = 0.5 - 0.5 * math.cos(math.pi * share / _WARM_UP_SHARE)
    else:
        rise = 0.5 + 0.5 * math.cos(math.pi * (share - _WARM_UP_SHARE) / (1 - _WARM_UP_SHARE))
    return _LOWEST_RATE + (1 - _LOWEST_RATE) * rise


def _copies(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in values.items()}


def _like(parameters: dict[str, nn.Parameter], values: dict[str, Tensor]) -> dict[str, Tensor]:
    """The values on the devices of the parameters."""
    return {name: value.to(parameters[name].device) for name, value in values.items()}


@torch.no_grad()
def _put(parameters: dict[str, nn.Parameter], values: dict[str, Tensor]) -> None:
    for name, parameter in parameters.items():
        parameter.copy_(values[name])
