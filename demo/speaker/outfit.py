"""What each speaker wears and what grows on the head, with the colours. NumPy only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from . import wear
from .hair import Hair, parted_hair
from .head import Head

Colour = tuple[float, float, float]
"""Linear red, green and blue in [0, 1]."""


@dataclass(frozen=True)
class Garment:
    """A surface of one colour, plain or knitted."""

    surface: wear.Surface
    colour: Colour
    knitted: bool = False


@dataclass(frozen=True)
class Backdrop:
    """What is behind the speaker: the colours in the middle and at the rim, and how much patches of it differ."""

    middle: Colour
    rim: Colour
    patches: float = 0.0


@dataclass(frozen=True)
class Outfit:
    """The look of one speaker besides the head itself.

    Attributes:
        brows: Hairs that ride on the face.
        short_hair: Hairs that ride on scalp, temples and nape.
        hair_colour: Colour of all hair.
        backdrop: What is behind the speaker.
        hair: Strands that are fixed to the skull, if any.
        on_head: Garments that follow the head, by name.
        on_shoulders: Garments that follow the shoulders, by name.
    """

    brows: wear.Strands
    short_hair: wear.Strands
    hair_colour: Colour
    backdrop: Backdrop
    hair: Hair | None = None
    on_head: dict[str, Garment] = field(default_factory=dict)
    on_shoulders: dict[str, Garment] = field(default_factory=dict)


Dress = Callable[[Head], Outfit]
"""Makes the outfit for a head."""


def cap_and_shirt(head: Head) -> Outfit:
    """A knitted cap, and a shirt without a collar."""
    return Outfit(
        wear.brows(head),
        wear.short_hair(head),
        (0.075, 0.05, 0.036),
        Backdrop((0.30, 0.36, 0.40), (0.075, 0.10, 0.125)),
        on_head={"cap": Garment(wear.knitted_cap(head), (0.035, 0.105, 0.135), knitted=True)},
        on_shoulders={"shirt": Garment(wear.shirt(), (0.30, 0.285, 0.26))},
    )


def hair_and_collar(head: Head) -> Outfit:
    """Parted hair that leaves the ears bare, and a shirt with a collar."""
    cloth = (0.13, 0.21, 0.33)
    return Outfit(
        wear.brows(head),
        wear.short_hair(head),
        (0.12, 0.066, 0.034),
        Backdrop((0.42, 0.36, 0.28), (0.13, 0.105, 0.08), patches=0.35),
        hair=parted_hair(head),
        on_shoulders={"shirt": Garment(wear.shirt(), cloth), "collar": Garment(wear.collar(), cloth)},
    )
