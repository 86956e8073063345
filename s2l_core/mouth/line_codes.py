"""From speech to codes: what a speaker hears in a line, and how the mouth comes to rest where nobody speaks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..device import one_thread
from ..errors import BadJob
from ..media.audio import SPEECH_RATE
from ..model.speaker import SpeakerModel
from ..speech.encoder import CODE_SECONDS, SpeechEncoder
from ..speech.features import loudness_gain, speech_level
from ..speech.moonshine import open_moonshine
from ..speech.named_networks import name_network, named_network
from ..speech.silence import IN_SILENCE, curve_at, resting, resting_in_room_tone
from ..speech.sources import LOG_MEL, SpeechSource, open_source, split_source

_LEAST_SPEECH = SPEECH_RATE // 10


def open_speech_source(speaker: SpeakerModel, folder: str = "") -> SpeechSource:
    """Open the source of a speaker's speech features.

    A speaker file may come from anybody, so the network folder that it names is opened only if the user has named it on
    this machine.

    Args:
        speaker: The speaker, on the device to compute on.
        folder: Folder of the network on this machine, which is remembered. Empty uses the remembered one.

    Raises:
        FileMissing, SpeechFeaturesUnavailable: The network is missing.
        BadJob: The network was not named on this machine, or is not the one that the speaker was trained with.
    """
    name = speaker.source
    if name == LOG_MEL and folder:
        raise BadJob(
            f"{speaker.name} encodes speech as log-mel and uses no speech network.", "Leave out --speech-network."
        )
    if name != LOG_MEL:
        named, layer = split_source(name)
        if folder:
            name_network(named, folder)
        name = f"{named_network(named)}{layer}"
    source = open_source(name, next(speaker.lip.parameters()).device.type)
    if source.bands != len(speaker.lip.speech.silence):
        raise BadJob(f"The speech network {name} differs from the one used in training.", "Restore the original.")
    return source


@one_thread()  # their number would change how sums are rounded, and with them the bytes of a dub
def speech_track(speaker: SpeakerModel, speech: NDArray[np.float32], level_db: float | None = None) -> Tensor:
    """Codes (t, size) of speech, one every 40 ms.

    Args:
        speaker: The speaker, on the device to compute on.
        speech: float32 (n,) at 16 kHz.
        level_db: Its level, see :func:`s2l_core.speech.features.speech_level`; None measures it.

    Raises:
        Speech2LipError: As :func:`open_speech_source`.
        SpeechFeaturesUnavailable: The speaker was trained with Moonshine, which is not installed.
    """
    device = next(speaker.lip.parameters()).device
    source = open_speech_source(speaker)
    if len(speech) < _LEAST_SPEECH:
        speech = np.pad(speech, (0, _LEAST_SPEECH - len(speech)))
    gain = loudness_gain(speech_level(speech) if level_db is None else level_db)
    encoder = speaker.lip.speech
    track = encoder.track_pieces(torch.from_numpy(rows).to(device) for rows in source.pieces(speech, gain))
    if not isinstance(encoder, SpeechEncoder):
        return track
    if encoder.prior_share > 0:
        states = open_moonshine().pieces(speech, gain)
        track = encoder.with_prior(track, (torch.from_numpy(rows).to(device) for rows in states))
    return encoder.articulation(track, others=speaker.exemplars is not None)


@one_thread()
def rest_in_silence(
    speaker: SpeakerModel,
    track: Tensor,
    speech: NDArray[np.float32],
    level_db: float,
    room_tone_db: float,
    silence_db: Sequence[float],
    strength: Sequence[float],
    last: float,
    begin: float = 0.0,
) -> Tensor:
    """Blend codes of speech towards the mouth at rest in pauses and in silence.

    Args:
        speaker: The speaker.
        track: (t, size) codes, as :func:`speech_track` gives them.
        speech: float32 (n,) at 16 kHz, of which they were made.
        level_db: Its level.
        room_tone_db: Level of the room in which it was spoken, see :func:`s2l_core.speech.silence.room_tone_level`.
        silence_db: Curve of levels, relative to ``level_db``, below which the mouth closes; an empty curve closes it as
            the speaker's own mouth closes in pauses, and in long ones. A higher level closes it more often.
        strength: Curve of how far the mouth closes, from 0, which leaves the codes unchanged, to 1.
        last: Duration of both curves in seconds.
        begin: Second of the track at which they begin.
    """
    times = CODE_SECONDS * np.arange(len(track))
    moments = times - begin
    pauses = speaker.pauses
    if silence_db:
        shares = resting(speech, times, level_db + curve_at(silence_db, moments, last))
    else:
        in_pauses, in_silence = (np.full(len(times), level_db + db) for db in (pauses.level_db, pauses.silence_db))
        each = (
            resting(speech, times, in_pauses, pauses.closing),
            resting(speech, times, in_silence, IN_SILENCE),
            resting_in_room_tone(speech, times, room_tone_db),
        )
        shares = np.max(each, axis=0)
    shares *= curve_at(strength, moments, last)
    encoder = speaker.lip.speech
    rest = encoder.articulation(encoder.rest()) if isinstance(encoder, SpeechEncoder) else encoder.rest()
    return torch.lerp(track, rest.to(track), torch.from_numpy(shares).to(track)[:, None])
