"""Mapping pixels between two views of an analytic surface, where the truth is known."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from s2l_core.geometry.camera import Intrinsics, Rectangle, make_pose, project
from s2l_core.geometry.mapping import (
    CanonicalView,
    canonical_from_observed,
    map_pixels,
    observed_from_canonical,
    observed_to_canonical,
    pixel_grid,
    relative_pose,
    sample,
)

CAMERA = Intrinsics(900.0, 880.0, 201.5, 148.0, 400, 300)
OTHER = Intrinsics(1300.0, 1300.0, 300.0, 330.0, 600, 660)
FRONTAL = make_pose([0.0, 0.0, 0.0], [0.0, 0.0, 700.0])
MOUTH = Rectangle(160, 110, 80, 60)
TURN = st.floats(-25.0, 25.0)


def sphere_depth(pixels: np.ndarray, pose: np.ndarray, camera: Intrinsics, radius: float = 90.0) -> np.ndarray:
    """Depth of the near side of a sphere about the head's origin; 0 beside it."""
    rays = np.stack([(pixels[..., 0] - camera.cx) / camera.fx, (pixels[..., 1] - camera.cy) / camera.fy], -1)
    rays = np.concatenate([rays, np.ones_like(rays[..., :1])], -1)
    centre = pose[:3, 3]
    a, b, c = (rays**2).sum(-1), rays @ centre, centre @ centre - radius**2
    root = b**2 - a * c
    return np.where(root > 0, (b - np.sqrt(np.maximum(root, 0))) / a, 0.0)


def plane_depth(pixels: np.ndarray, pose: np.ndarray, camera: Intrinsics) -> np.ndarray:
    """Depth of the head's plane z = -60 mm."""
    normal = pose[:3, 2]
    point = pose[:3, 3] - 60 * normal
    rays = np.stack([(pixels[..., 0] - camera.cx) / camera.fx, (pixels[..., 1] - camera.cy) / camera.fy], -1)
    return (normal @ point) / (np.concatenate([rays, np.ones_like(rays[..., :1])], -1) @ normal)


def canonical_view(depth_of, rectangle: Rectangle = CAMERA.rectangle, dtype=torch.float32) -> CanonicalView:
    grid = pixel_grid(rectangle).numpy().astype(np.float64)
    depth = torch.tensor(depth_of(grid, FRONTAL, CAMERA), dtype=dtype)
    return CanonicalView(depth, rectangle, CAMERA, torch.tensor(FRONTAL, dtype=dtype))


def turned(yaw: float, pitch: float, roll: float, distance: float = 650.0) -> np.ndarray:
    return make_pose(np.radians([pitch, yaw, roll]), [12.0, -8.0, distance])


@settings(max_examples=30, deadline=None)
@given(yaw=TURN, pitch=TURN, roll=TURN, depth_of=st.sampled_from([sphere_depth, plane_depth]))
def test_round_trip_through_the_canonical_depth_returns_to_the_same_pixel(yaw, pitch, roll, depth_of):
    view = canonical_view(depth_of)
    pose = torch.tensor(turned(yaw, pitch, roll)[None], dtype=torch.float32)
    there = observed_from_canonical(view.crop(MOUTH), OTHER, pose)
    back = canonical_from_observed(there.pixels, view, OTHER, pose)
    assert there.valid.all() and back.valid.all()
    assert (back.pixels - pixel_grid(MOUTH)).abs().max() < 0.05


@settings(max_examples=30, deadline=None)
@given(yaw=TURN, pitch=TURN, roll=TURN, depth_of=st.sampled_from([sphere_depth, plane_depth]))
def test_canonical_depth_and_observed_depth_give_the_same_map(yaw, pitch, roll, depth_of):
    view = canonical_view(depth_of)
    pose = turned(yaw, pitch, roll)
    poses = torch.tensor(pose[None], dtype=torch.float32)
    middle = project([[0.0, 20.0, -75.0]], pose, OTHER)[0].astype(int)
    pixels = pixel_grid(Rectangle(middle[0] - 30, middle[1] - 25, 60, 50))
    depth = torch.tensor(depth_of(pixels.numpy().astype(np.float64), pose, OTHER), dtype=torch.float32)
    paper = map_pixels(pixels, depth, OTHER, CAMERA, relative_pose(view.pose, poses))
    ours = canonical_from_observed(pixels, view, OTHER, poses)
    both = paper.valid & ours.valid
    assert both.float().mean() > 0.95
    assert (paper.pixels - ours.pixels)[both].abs().max() < 0.05


def test_map_agrees_with_projecting_the_points_themselves():
    pose = turned(15, -10, 5)
    points = np.array([[10.0, 30.0, -80.0], [-25.0, 5.0, -70.0]])
    source, target = project(points, FRONTAL, CAMERA), project(points, pose, OTHER)
    depth = torch.tensor((points[:, 2] + 700.0)[None])
    relative = relative_pose(torch.tensor(pose), torch.tensor(FRONTAL))[None]
    mapped = map_pixels(torch.tensor(source[None]), depth, CAMERA, OTHER, relative)
    np.testing.assert_allclose(mapped.pixels[0, 0], target, atol=1e-9)


def test_pixels_without_depth_are_invalid_and_sample_as_black():
    view = canonical_view(sphere_depth)
    poses = torch.tensor(np.stack([FRONTAL, turned(10, 5, 0)]), dtype=torch.float32)
    there = observed_from_canonical(view, OTHER, poses)
    assert torch.equal(there.valid, (view.depth > 0).expand(2, -1, -1)) and not there.valid.all()
    warped = observed_to_canonical(torch.ones(2, 3, OTHER.height, OTHER.width), view, OTHER, poses)
    assert (warped.permute(0, 2, 3, 1)[~there.valid] == 0).all()
    assert (warped[:, :, 140:160, 190:210] > 0.999).all()


def test_observed_pixels_beside_the_surface_are_invalid():
    view = canonical_view(sphere_depth)
    back = canonical_from_observed(pixel_grid(CAMERA.rectangle), view, CAMERA, view.pose[None])
    assert torch.equal(back.valid[0] & (view.depth == 0), torch.zeros_like(back.valid[0]))
    assert back.valid[0, 140:160, 190:210].all()


def test_identity_pose_leaves_a_picture_as_it_is():
    view = canonical_view(plane_depth)
    picture = torch.rand(1, 3, CAMERA.height, CAMERA.width)
    warped = observed_to_canonical(picture, view, CAMERA, view.pose[None])
    torch.testing.assert_close(warped, picture, atol=2e-4, rtol=0)


def test_a_crop_of_the_canonical_view_maps_like_the_whole():
    poses = torch.tensor(turned(8, -6, 3)[None], dtype=torch.float32)
    whole = canonical_view(sphere_depth)
    pixels = observed_from_canonical(whole.crop(MOUTH), OTHER, poses).pixels[:, 10:-10, 10:-10]
    inner = canonical_from_observed(pixels, whole.crop(MOUTH), OTHER, poses)
    assert inner.valid.all()
    torch.testing.assert_close(
        inner.pixels, canonical_from_observed(pixels, whole, OTHER, poses).pixels, atol=0.01, rtol=0
    )


@pytest.mark.parametrize("factor", [1, 2, 5])
def test_a_finer_view_maps_the_same_points(factor):
    """The mean of the finer pixels inside a pixel of a plane is where that pixel is."""
    box = Rectangle(30, 40, 24, 16)
    view = canonical_view(plane_depth, box)
    finer = view.finer(factor)
    poses = torch.tensor(turned(9.0, -6.0, 4.0), dtype=torch.float32)[None]
    coarse, fine = (observed_from_canonical(each, CAMERA, poses).pixels[0] for each in (view, finer))
    assert (finer.rectangle.width, finer.rectangle.height) == (factor * box.width, factor * box.height)
    means = fine.unflatten(0, (box.height, factor)).unflatten(2, (box.width, factor)).mean(dim=(1, 3))
    assert float((means - coarse)[1:-1, 1:-1].norm(dim=-1).max()) < 0.01


def test_sampling_reads_pixel_centres_and_honours_the_crop():
    picture = torch.arange(12.0).reshape(1, 1, 3, 4)
    centres = pixel_grid(Rectangle(0, 0, 4, 3))[None]
    torch.testing.assert_close(sample(picture, centres), picture)
    torch.testing.assert_close(sample(picture, centres + torch.tensor([7.0, 5.0]), Rectangle(7, 5, 4, 3)), picture)
    between = torch.tensor([[[[2.0, 1.5]]]])
    assert sample(picture, between).item() == pytest.approx(5.5)


@pytest.mark.parametrize("direction", ["O2C", "C2O"])
def test_gradients_reach_the_canonical_depth_and_the_poses(direction):
    rectangle = Rectangle(185, 135, 16, 15)
    view = canonical_view(sphere_depth, rectangle, torch.float64)
    poses = torch.tensor(np.stack([turned(14, -9, 4), turned(-20, 6, -8)]))
    pixels = observed_from_canonical(view, OTHER, poses).pixels[:, 4:-4, 4:-4].detach()
    weights = torch.linspace(-1, 1, pixels.numel(), dtype=torch.float64).reshape(pixels.shape)

    def loss(depth, poses):
        nudged = CanonicalView(depth, rectangle, CAMERA, view.pose)
        if direction == "O2C":
            return (observed_from_canonical(nudged, OTHER, poses).pixels[:, 4:-4, 4:-4] * weights).sum()
        return (canonical_from_observed(pixels, nudged, OTHER, poses, steps=8).pixels * weights).sum()

    depth, moving = view.depth.clone().requires_grad_(), poses.clone().requires_grad_()
    loss(depth, moving).backward()
    for value, gradient in ((depth, depth.grad), (moving, moving.grad)):
        step = torch.randn(value.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 1e-4
        if value is moving:
            step[:, 3] = 0
        plus, minus = (loss(*(v + s * step if v is value else v for v in (depth, moving))) for s in (1, -1))
        assert gradient is not None
        assert (gradient * step).sum().item() == pytest.approx((plus - minus).item() / 2, rel=0.05)
