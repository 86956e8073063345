"""The speakers that are rendered, and how they differ."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from .outfit import Dress, cap_and_shirt, hair_and_collar
from .voice import Voice

# From the Harvard sentences (IEEE Recommended Practice for Speech Quality Measurements, 1969).
_FIRST_LISTS = (
    "The birch canoe slid on the smooth planks.",
    "Glue the sheet to the dark blue background.",
    "It's easy to tell the depth of a well.",
    "These days a chicken leg is a rare dish.",
    "Rice is often served in round bowls.",
    "The juice of lemons makes fine punch.",
    "The box was thrown beside the parked truck.",
    "The hogs were fed chopped corn and garbage.",
    "Four hours of steady work faced us.",
    "A large size in stockings is hard to sell.",
    "The boy was there when the sun rose.",
    "A rod is used to catch pink salmon.",
    "The source of the huge river is the clear spring.",
    "Kick the ball straight and follow through.",
    "Help the woman get back to her feet.",
    "A pot of tea helps to pass the evening.",
    "Smoky fires lack flame and heat.",
    "The soft cushion broke the man's fall.",
    "The salt breeze came across from the sea.",
    "The girl at the booth sold fifty bonds.",
)
_FOURTH_LIST = (
    "Hoist the load to your left shoulder.",
    "Take the winding path to reach the lake.",
    "Note closely the size of the gas tank.",
    "Wipe the grease off his dirty face.",
    "Mend the coat before you go out.",
    "The wrist was badly strained and hung limp.",
    "The stray cat gave birth to kittens.",
    "The young girl gave no clear response.",
)


@dataclass(frozen=True)
class Person:
    """One rendered speaker.

    Attributes:
        name: Name of the clip, without its suffix.
        identity_seed: Draws the shape of the head.
        dress: Makes hair and clothes.
        voice: Voice of the speech.
        sentences: What is said.
        speech_seed: Draws the pauses.
        motion_seed: Draws the motion of head, eyes and brows.
        angle_limits: Largest yaw, pitch and roll of the head, degrees.
        frame_rate: Frames per second.
        moments: Frames of the clip's last tenth that are rendered from novel angles, with the mouth open, wide open,
            pursed, nearly closed, and smiling at rest.
    """

    name: str
    identity_seed: int
    dress: Dress
    voice: Voice
    sentences: tuple[str, ...]
    speech_seed: int
    motion_seed: int
    angle_limits: tuple[float, float, float]
    frame_rate: Fraction
    moments: tuple[int, ...]


EMBEDDED = Person(
    name="speaker",
    identity_seed=1,
    dress=cap_and_shirt,
    voice=Voice("en-us+m3", rate=150, pitch=42, pitch_range=55),
    sentences=_FIRST_LISTS,
    speech_seed=1,
    motion_seed=7,
    angle_limits=(12.0, 6.0, 6.0),
    frame_rate=Fraction(25),
    moments=(1418, 1460, 1484, 1500, 1514),
)
"""The embedded speaker, who wears a cap."""
HAIRED = Person(
    name="haired_speaker",
    identity_seed=2,
    dress=hair_and_collar,
    voice=Voice("en-us+m1", rate=150, pitch=40, pitch_range=55),
    sentences=_FOURTH_LIST,
    speech_seed=3,
    motion_seed=177,
    angle_limits=(4.0, 2.5, 2.5),
    frame_rate=Fraction(25, 2),
    moments=(273, 279, 284, 288, 298),
)
"""The haired speaker, whose head hardly turns: hair, bare ears and a collar."""
PEOPLE = {person.name: person for person in (EMBEDDED, HAIRED)}


def folder_of(person: Person) -> Path:
    """Folder of a person's clip, its ground truth and its views."""
    demo = Path(__file__).resolve().parents[1]
    return demo if person is EMBEDDED else demo / person.name
