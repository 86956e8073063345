"""Blend-Net (paper section 4.4): blends generated lips into the observed frame by a residual."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..events import checkpoint

_WIDTH, _DETAIL_WIDTH = 16, 8
_HOLED_SHARE = 0.5
"""Share of the training pictures with holes, as in the paper."""
_SLIT_HALF_WIDTH, _BLOB_HEIGHT = 0.06, 2.2
_BLOB_PIXELS, _SLIT_PIXELS, _SLIT_LENGTH = 16, 6, 24
_MEAN_CELL = 4
"""Holes are filled with the mean over three by three cells of this many pixels a side."""
_BAND_PIXELS, _REACH = 2_000_000, 96
"""Pixels of a large picture that are processed at once, and the receptive field in rows."""
_LEAST_MASK = 0.5
"""Least mask for a hole in training: with a smaller one, the residual could hardly fill it."""


class BlendNet(nn.Module):
    """A small U-Net at half the resolution of the mouth region, with two layers at full resolution. Its residual is
    initialised to zero.

    As in the paper, the residual is added to the merged frame. Here it is multiplied by the soft mask, so that pixels
    outside the mouth stay those of the source.
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
        """Blend regions (B, 3, h, w), whose sides are multiples of 8.

        Args:
            merged: float32 (B, 3, h, w) lips composited into the observed frame; black in holes.
            mask: float32 (B, 1, h, w) in [0, 1], zero in pixels that must not change.
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
    """Apply Blend-Net to pictures (B, 3, h, w) of any size, which are padded to multiples of 8. Large pictures are
    processed in bands of rows that overlap by the receptive field.
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
    """Fill black pixels inside the mask with the mean colour around them, so that the residual stays small. Without
    that, training would at first learn nothing but filling holes.
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
    """Add random holes to half of the pictures, for training: forward warping to another pose leaves black holes, which
    Blend-Net must fill. Holes are slits along rows or columns, as in stretched parts of a surface, and blobs, as in
    parts that were occluded.

    Args:
        merged: float32 (B, 3, h, w) input of Blend-Net.
        mask: float32 (B, 1, h, w) in [0, 1].
        generator: Source of all randomness, on the CPU.

    Returns:
        float32 (B, 3, h, w), zero in the holes.
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
