"""What training reads from a frame does not depend on how much of the frame it is given."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch

from s2l_core.canonical.regions import Observer
from s2l_core.footage import prepare
from s2l_core.geometry.camera import Rectangle
from s2l_core.geometry.mapping import observed_to_canonical
from s2l_core.media.planes import Part
from s2l_core.model.speaker import SpeakerModel

from .conftest import EmbeddedHead

INDEX = 20


def test_a_frame_is_observed_in_the_rectangle_that_is_needed(embedded_head: EmbeddedHead) -> None:
    footage, face = prepare(embedded_head.footage), SpeakerModel.load(embedded_head.speaker_path).face
    observer, asked = Observer(face, footage, torch.device("cpu")), list[Rectangle]()
    frame = next(footage.frames(INDEX))

    def part(box: Rectangle) -> Part:
        asked.append(box)
        return frame.part(box)

    seen, whole = observer.observe(part, INDEX), observer.observe(partial(Part.of, frame.image), INDEX)
    assert asked[0].width * asked[0].height < 0.5 * frame.image.shape[0] * frame.image.shape[1]
    np.testing.assert_array_equal(seen.region, observer.plan.cut(frame.image, INDEX))
    assert torch.equal(seen.lips, whole.lips) and torch.equal(seen.surroundings, whole.surroundings)
    picture = torch.from_numpy(frame.image).permute(2, 0, 1)[None].float() / 255
    pose = observer.poses[INDEX : INDEX + 1]
    for view, colours in ((face.lips, seen.lips), (face.surroundings, seen.surroundings)):
        assert torch.allclose(observed_to_canonical(picture, view, observer.intrinsics, pose)[0], colours, atol=1e-4)
