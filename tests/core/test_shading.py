"""The light on a head, fitted to frames in which it turns."""

from __future__ import annotations

import pytest
import torch
from scipy.spatial.transform import Rotation

from s2l_core.canonical.view import choose_canonical
from s2l_core.footage import prepare
from s2l_core.whole_head.shading import fit_shading, gain
from s2l_core.whole_head.surface import HeadSurface
from s2l_core.whole_head.texture import Observations

from .conftest import EmbeddedHead

LAMP_ON_THE_LEFT = torch.tensor([-0.3, 0.0, -0.2, 0.0, 0.0, 0.0, 0.0, 0.0])
ANGLES = (-12, -6, 0, 6, 12)


@pytest.fixture(scope="module")
def surface(embedded_head: EmbeddedHead) -> HeadSurface:
    footage = prepare(embedded_head.footage)
    return HeadSurface(choose_canonical(footage, footage.track.found).head)


def turned(degrees: float) -> torch.Tensor:
    return torch.tensor(Rotation.from_euler("y", degrees, degrees=True).as_matrix(), dtype=torch.float32)


def frames(surface: HeadSurface, light: torch.Tensor, angles: tuple[float, ...]) -> Observations:
    """Frames of a spotted head that turns in a light."""
    own = 0.2 + 0.3 * torch.rand(surface.front.shape[1:], generator=torch.Generator().manual_seed(0))
    seen = []
    for angle in angles:
        brightness = own * gain(light, surface.front_normals, torch.eye(3), turned(angle))
        seen.append(torch.cat([brightness.expand(3, -1, -1), torch.ones_like(own)[None]]))
    poses = torch.eye(4).repeat(len(angles), 1, 1)
    poses[:, :3, :3] = torch.stack([turned(angle) for angle in angles])
    front = torch.stack(seen)
    return Observations(front, front[..., :1, :1], poses)


def test_a_fitted_light_tells_which_parts_of_a_turned_head_get_brighter(surface: HeadSurface) -> None:
    light = fit_shading(surface, frames(surface, LAMP_ON_THE_LEFT, ANGLES))
    inside = surface.inside > 0.9
    changes = (gain(each, surface.front_normals, turned(0), turned(20))[inside] for each in (LAMP_ON_THE_LEFT, light))
    wanted, found = (change / change.mean() for change in changes)
    assert wanted.std() > 0.02
    assert (found - wanted).std() < 0.3 * wanted.std()


def test_a_head_that_turns_towards_a_lamp_gets_brighter(surface: HeadSurface) -> None:
    change = gain(LAMP_ON_THE_LEFT, surface.front_normals, turned(0), turned(15))
    assert change[surface.inside > 0.9].mean() > 1.02


def test_a_head_in_its_own_pose_keeps_its_brightness(surface: HeadSurface) -> None:
    assert torch.equal(
        gain(LAMP_ON_THE_LEFT, surface.front_normals, turned(7), turned(7)), torch.ones(surface.front.shape[1:])
    )


def test_frames_of_one_pose_tell_nothing_about_the_light(surface: HeadSurface) -> None:
    assert fit_shading(surface, frames(surface, LAMP_ON_THE_LEFT, (0, 0, 0))).abs().max() < 1e-3


def test_a_change_of_exposure_is_not_light_from_a_side(surface: HeadSurface) -> None:
    dark = torch.zeros(8)
    observed = frames(surface, dark, ANGLES)
    exposure = torch.linspace(0.6, 1.4, len(ANGLES))[:, None, None, None]
    light = fit_shading(
        surface, observed._replace(front=torch.cat([observed.front[:, :3] * exposure, observed.front[:, 3:]], 1))
    )
    assert light.abs().max() < 0.02
