"""The objective (Chen et al. 2018): a weighted sum of four losses, and what the other networks learn."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn
from torch.func import functional_call

from .batches import Batch
from .correlation import CorrelationNetworks, contrast, correlation_loss
from .discriminator import Discriminator, judged
from .flow import FlowNetwork, flow_loss
from .generator import Generator
from .perceptual import LipAutoencoder, perceptual_loss
from .pixel import pixel_loss


@dataclass(frozen=True)
class LossWeights:
    """Weights of the generator's losses; the defaults are the paper's, and 0 switches a loss off.

    Attributes:
        correlation: Raising it ties changes of the lips to changes of the sound.
        pixel: Raising it brings the mean picture closer, and blurs what cannot be foreseen.
        perceptual: Raising it brings the features of the autoencoder closer.
        adversarial: Raising it sharpens, and moves away from the real pictures.
    """

    correlation: float = 1.0
    pixel: float = 0.5
    perceptual: float = 1.0
    adversarial: float = 1.0

    @property
    def need_flow(self) -> bool:
        """Whether any of the losses compares optical flow."""
        return bool(self.correlation or self.adversarial)


class Networks(nn.Module):
    """All networks of a training.

    Args:
        width: Channels relative to the paper's.
        derivative: See :class:`.CorrelationNetworks`.
        sees_flow: See :class:`.Discriminator`.
    """

    def __init__(self, width: float = 1.0, derivative: bool = True, sees_flow: bool = True) -> None:
        super().__init__()
        self.generator = Generator(width)
        self.discriminator = Discriminator(width, sees_flow)
        self.correlation = CorrelationNetworks(width, derivative)
        self.flow = FlowNetwork()
        self.autoencoder = LipAutoencoder(width)

    def loss(self, batch: Batch, weights: LossWeights) -> Tensor:
        """The sum of what the generator and its judges learn in one step.

        Each network gets the gradient of its own loss alone: where one is judged by another, the judge's parameters are
        constants, and where one judges another, that one's pictures are.
        """
        sound = self.generator.audio_encoder(batch.mel)
        generated = self.generator.draw(self.generator.identity_encoder(batch.picture), sound)
        if not weights.need_flow:
            return self.generator_loss(batch, sound, generated, None, weights)
        flow = _constant(self.flow, generated)
        own = self.generator_loss(batch, sound, generated, flow, weights)
        real_flow = self.flow(batch.video)
        return own + self._judges_loss(batch, sound.detach(), generated.detach(), flow.detach(), real_flow, weights)

    def generator_loss(
        self, batch: Batch, sound: Tensor, generated: Tensor, flow: Tensor | None, weights: LossWeights
    ) -> Tensor:
        """The generator's loss: correlation, pixel, perceptual and adversarial loss, weighted and summed.

        Args:
            batch: The windows.
            sound: Features (B, C, 16, 16) of the audio encoder.
            generated: Pictures (B, 3, 16, 64, 64) of the generator.
            flow: Optical flow (B, 2, 15, 64, 64) of these; None if the weights do not need it.
            weights: Losses with the weight 0 are not computed.
        """
        loss = generated.new_zeros(())
        if weights.pixel:
            loss = loss + weights.pixel * pixel_loss(generated, batch.video)
        if weights.perceptual:
            encoder = partial(_constant, self.autoencoder.encoder)
            loss = loss + weights.perceptual * perceptual_loss(encoder, generated, batch.video)
        if weights.correlation:
            cosines = _constant(self.correlation, sound, generated, flow)
            loss = loss + weights.correlation * correlation_loss(cosines)
        if weights.adversarial:
            loss = loss + weights.adversarial * judged(_constant(self.discriminator, batch.mel, generated, flow), 1.0)
        return loss

    def _judges_loss(
        self, batch: Batch, sound: Tensor, generated: Tensor, flow: Tensor, real_flow: Tensor, weights: LossWeights
    ) -> Tensor:
        """What flow network, discriminator and correlation networks learn. The wrong sound of a window is that of the
        window before it in the batch.
        """
        loss, seen = flow_loss(real_flow, batch.flow), real_flow.detach()
        if weights.adversarial:
            real, drawn = (batch.video, seen), (generated, flow)
            loss = loss + self.discriminator.loss(batch.mel, batch.mel.roll(1, 0), real, drawn)
        if weights.correlation:
            right, wrong = (self.correlation(each, batch.video, seen) for each in (sound, sound.roll(1, 0)))
            loss = loss + contrast(right, wrong)
        return loss


def _constant(network: nn.Module, *inputs: Tensor | None) -> Tensor:
    """The output of a network whose parameters get no gradient; its inputs do."""
    parameters = {name: parameter.detach() for name, parameter in network.named_parameters()}
    output: Tensor = functional_call(network, parameters, inputs)
    return output
