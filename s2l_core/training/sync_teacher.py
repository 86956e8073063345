"""The sync loss in training, and the training of its expert on the real frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..cache import NO_CACHE, Cache, Tensors
from ..events import Report
from ..model.lip.base import LipModel, Painter
from ..model.sync import SyncExpert, SyncForm, sync_loss_of_runs, train_expert
from .checkpoint import resumable_steps
from .clip import Clip


@dataclass(frozen=True)
class SyncTeacher:
    """A frozen sync expert with the speech of the clip that it judges.

    Attributes:
        expert: The network.
        mel: float32 (m, 80) log-mel of the clip's speech.
        form: Form of the loss, see :func:`s2l_core.model.sync.sync_loss`.
    """

    expert: SyncExpert
    mel: Tensor
    form: SyncForm

    def painter(self, lip: LipModel) -> Painter:
        """Renders lips at the resolution of the expert."""
        sizes, device = self.expert.sizes, self.mel.device
        columns = torch.linspace(0, 1, sizes.width + 1, device=device)
        return lip.painter(columns, torch.linspace(0, 1, sizes.height + 1, device=device))

    def loss(self, times: NDArray[np.floating], lips: Tensor) -> Tensor:
        """Equation (6) for runs of generated lips (R, T, 3, h, w) at (R, T) seconds from the start of the clip."""
        return sync_loss_of_runs(self.expert, self.mel, times, lips, self.form)


def learn_sync(clip: Clip, form: SyncForm, seed: int, report: Report, cache: Cache = NO_CACHE) -> SyncTeacher:
    """Train a sync expert on the real lips of the training frames. It depends on clip and seed only, and does not
    affect the randomness of the rest of the training.

    Args:
        clip: The training frames.
        form: Form of the loss.
        seed: Seed of the expert.
        report: Receives the phase ``"Learn synchrony"``.
        cache: Cache of the result and of the work until then.
    """
    mel = torch.from_numpy(clip.mel).to(clip.lips.device)

    def tell(done: int, total: int) -> None:
        report.progress("Learn synchrony", done, total)

    def learn() -> Tensors:
        count_steps = resumable_steps(cache, "steps of synchrony")
        return train_expert(mel, clip.times, clip.lips, seed, tell=tell, count_steps=count_steps).state_dict()

    expert = SyncExpert().to(mel.device)
    expert.load_state_dict(cache.get_or_compute("synchrony", learn))
    return SyncTeacher(expert.eval().requires_grad_(False), mel, form)
