"""The verbs of the library, as ``import s2l_core`` gives them."""

from __future__ import annotations

import pytest

import s2l_core


@pytest.mark.parametrize("verb", s2l_core.__all__)
def test_a_verb_is_still_one_when_it_is_asked_for_again(verb: str) -> None:
    """Importing a module that is named like its verb would hide the verb."""
    assert callable(getattr(s2l_core, verb))
    assert callable(getattr(s2l_core, verb))
