"""A few of the kills of `benchmarks.kill_resume`; that prints fifty."""

import pytest

from benchmarks import kill_resume


@pytest.mark.parametrize("variant", ["conditional"])
def test_killed_runs_end_as_if_they_had_not_been(examples, variant):
    found = kill_resume.measure(variant, str(examples), steps=300, kills=2, seed=2)
    assert found["start"] + found["training"] + found["write"] == 2
    assert found["training"] + found["write"] > 0
    assert found["differing"] == 0
    assert found["total"] > 100_000
