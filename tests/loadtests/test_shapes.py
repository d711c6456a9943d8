"""The shapes' arithmetic: who begins, where the peak is, how a run ends."""
from __future__ import annotations

import pytest

from loadtests.shapes.users_at import NAMES, users_at


def test_a_ramp_has_even_steps_up_to_all() -> None:
    shares = [0, 0.099, 0.1, 0.5, 0.899, 0.9, 0.999]
    assert [users_at("ramp", share, 50) for share in shares] == [5, 5, 10, 30, 45, 50, 50]


def test_a_spike_comes_and_goes() -> None:
    shares = [0, 0.39, 0.4, 0.59, 0.6, 0.99]
    assert [users_at("spike", share, 50) for share in shares] == [10, 10, 50, 50, 10, 10]


def test_a_soak_is_soon_at_all_and_stays() -> None:
    shares = [0, 0.025, 0.05, 0.5, 0.99]
    assert [users_at("soak", share, 50) for share in shares] == [1, 25, 50, 50, 50]


@pytest.mark.parametrize("shape", NAMES)
def test_there_is_always_a_user_and_never_too_many(shape: str) -> None:
    for peak in (1, 3, 100):
        users = [users_at(shape, n / 100, peak) for n in range(100)]
        assert (min(users) >= 1, max(users)) == (True, peak)


def test_an_unknown_shape() -> None:
    with pytest.raises(ValueError, match="no shape is called square"):
        users_at("square", 0.5, 10)
