"""Blend-Net (paper section 4.4): joins the generated lips and the observed frame by a residual."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..events import checkpoint

_WIDTH, _DETAIL_WIDTH = 16, 8
_HOLED_SHARE = 0.5
"""Share of the training pictures that get holes, as in the paper."""
_SLIT_HALF_WIDTH, _BLOB_HEIGHT = 0.06, 2.2
_BLOB_PIXELS, _SLIT_PIXELS, _SLIT_LENGTH = 16, 6, 24
_MEAN_CELL = 4
"""Holes are closed by the mean over three times three cells of this many pixels a side."""
_BAND_PIXELS, _REACH = 2_000_000, 96
"""Pixels of a large picture that are joined at once, and rows beside them on which these depend at most."""
_LEAST_MASK = 0.5
"""Where the mask is thinner, the residual could hardly fill a hole."""


class BlendNet(nn.Module):
    """A small U-Net on the mouth region at half resolution, with two layers at the whole one; its residual is zero at
    the start.

    The paper predicts a residual that is added to the merged frame; here a soft mask confines it to the mouth, so
    that everything else stays what the source has.
    """

    def __init__(self) -> None:
        super().__init__()
        self.enter = _block(4 * 4, _WIDTH)
        self.down = _block(_WIDTH, 2 * _WIDTH, stride=2)
        self.bottom = _block(2 * _WIDTH, 2 * _WIDTH, stride=2)
        self.rise = _block(4 * _WIDTH, 2 * _WIDTH)
        self.leave = _block(3 * _WIDTH, _WIDTH)
        self.narrow = nn.Conv2d(_WIDTH, _DETAIL_WIDTH, 3, padding=1)
        self.detail = nn.Sequential(nn.Conv2d(_DETAIL_WIDTH + 4, _DETAIL_WIDTH, 3, padding=1), nn.ReLU())
        self.residual = nn.Conv2d(_DETAIL_WIDTH, 3, 3, padding=1)
        nn.init.zeros_(self.residual.weight)
        assert self.residual.bias is not None
        nn.init.zeros_(self.residual.bias)

    def forward(self, merged: Tensor, mask: Tensor) -> Tensor:
        """The blended region (B, 3, h, w), h and w multiples of 8.

        Args:
            merged: (B, 3, h, w) lips pasted on the observed frame; black where there is nothing yet.
            mask: (B, 1, h, w) in [0, 1], zero where the frame must stay as it is.
        """
        merged = _close_holes(merged, mask)
        whole = torch.cat([merged, mask], dim=1)
        checkpoint()
        fine = self.enter(functional.pixel_unshuffle(whole, 2))
        middle = self.down(fine)
        coarse = self.bottom(middle)
        checkpoint()
        middle = self.rise(torch.cat([_double(coarse), middle], dim=1))
        checkpoint()
        fine = self.leave(torch.cat([_double(middle), fine], dim=1))
        checkpoint()
        detail = self.detail(torch.cat([_double(self.narrow(fine)), whole], dim=1))
        checkpoint()
        return merged + mask * self.residual(detail)


def blend_padded(blend: BlendNet, merged: Tensor, mask: Tensor) -> Tensor:
    """What Blend-Net makes of pictures (B, 3, h, w) of any size, whose borders are carried on to a multiple of 8. Large
    ones are joined in bands of rows with as much around them as a pixel depends on.
    """
    height, width = merged.shape[-2:]
    sides = (0, -width % 8, 0, -height % 8)
    padded, holes = functional.pad(merged, sides, mode="replicate"), functional.pad(mask, sides)
    size = max(8, _BAND_PIXELS // padded.shape[-1] // 8 * 8)
    if padded.shape[-2] <= size + 2 * _REACH:
        return blend(padded, holes)[..., :height, :width]
    bands = []
    for first in range(0, padded.shape[-2], size):
        begin, end = max(0, first - _REACH), first + size + _REACH
        band = blend(padded[..., begin:end, :], holes[..., begin:end, :])
        bands.append(band[..., first - begin : first - begin + size, :])
    return torch.cat(bands, dim=-2)[..., :height, :width]


def _close_holes(merged: Tensor, mask: Tensor) -> Tensor:
    """Black pixels inside of the mask get the mean colour around them, from which the residual has not far to go:
    training that had to paint holes from nothing would, at first, learn nothing else.
    """
    holes = (merged.amax(dim=1, keepdim=True) == 0) & (mask > 0)
    if not holes.any():
        return merged
    known = (~holes).to(merged)
    sums = functional.avg_pool2d(torch.cat([merged * known, known], dim=1), _MEAN_CELL)
    sums = functional.avg_pool2d(sums, 3, stride=1, padding=1)
    around = functional.interpolate(sums[:, :3] / sums[:, 3:].clamp(min=1e-6), merged.shape[-2:], mode="bilinear")
    return torch.where(holes, around, merged)


def with_random_holes(merged: Tensor, mask: Tensor, generator: torch.Generator) -> Tensor:
    """Half of the pictures with holes, for training: what a splat to another pose leaves open is black, and Blend-Net
    must fill it. Holes are slits along rows or columns, where the turned surface is stretched, and blobs, where it
    comes out from behind something.

    Args:
        merged: (B, 3, h, w) as Blend-Net gets it.
        mask: (B, 1, h, w) in [0, 1].
        generator: Source of all randomness, on the CPU.

    Returns:
        (B, 3, h, w), zero in the holes: nothing of the frame shows through them.
    """
    count, _, height, width = merged.shape

    def field(rows: int, columns: int) -> Tensor:
        coarse = torch.randn(count, 1, height // rows + 2, width // columns + 2, generator=generator)
        return functional.interpolate(coarse, (height, width), mode="bilinear", align_corners=True)

    def chosen(share: float) -> Tensor:
        return torch.rand(count, 1, 1, 1, generator=generator) < share

    slits = torch.where(chosen(0.5), field(_SLIT_PIXELS, _SLIT_LENGTH), field(_SLIT_LENGTH, _SLIT_PIXELS))
    holes = (slits.abs() < _SLIT_HALF_WIDTH) | (field(_BLOB_PIXELS, _BLOB_PIXELS) > _BLOB_HEIGHT)
    holes = (holes & chosen(_HOLED_SHARE)).to(mask.device) & (mask > _LEAST_MASK)
    return merged.masked_fill(holes, 0.0)


def _block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1),
        nn.ReLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.ReLU(),
    )


def _double(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
