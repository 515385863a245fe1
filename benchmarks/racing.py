"""Races: programs that do the same work, each in a process of its own, taking turns in one run.

A machine that others share is fast in one minute and slow in the next. In a race every program has
a turn in every round, so that each round compares them under nearly the same conditions.
"""

import dataclasses
import shlex
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence

from benchmarks.peers.turns import READY, TOOK
from keras_gan.interfaces import UserError


@dataclasses.dataclass(frozen=True)
class Racer:
    """A program that plays steps when asked; see `peers.turns`.

    Args:
        name: its row.
        command: its command line.
        steps: what it plays in a turn.
        gflop: the arithmetic of a step, in 1e9 floating point operations.
    """

    name: str
    command: Sequence[str]
    steps: int
    gflop: float


class _Running:
    """A racer's process."""

    def __init__(self, racer: Racer):
        self.racer = racer
        self._process = subprocess.Popen(
            racer.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def warm_up(self) -> None:
        """Wait until it has compiled what it must."""
        self._answer(READY)

    def _answer(self, start: str) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(start):
                return line.removeprefix(start)
        command = shlex.join(self.racer.command)
        raise UserError(f"Expected {self.racer.name} to play; it ended. Try: {command}")

    def play(self) -> float:
        """Return the steps/s of a turn."""
        assert self._process.stdin is not None
        print(self.racer.steps, file=self._process.stdin, flush=True)
        return self.racer.steps / float(self._answer(TOOK))

    def end(self) -> None:
        """Let it go."""
        self._process.kill()
        self._process.wait()


def race(racers: Sequence[Racer], rounds: int) -> dict[str, list[float]]:
    """Return each racer's steps/s, one number for each round."""
    running: list[_Running] = []
    try:
        for racer in racers:
            print(f"warming up: {racer.name}", file=sys.stderr, flush=True)
            running.append(_Running(racer))
            running[-1].warm_up()
        rates: dict[str, list[float]] = {racer.name: [] for racer in racers}
        for number in range(rounds):
            print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
            for one in running:
                rates[one.racer.name].append(one.play())
        return rates
    finally:
        for one in running:
            one.end()


def ratios(rates: dict[str, list[float]], name: str, reference: str) -> list[float]:
    """Divide one racer's steps/s by another's, round by round."""
    return [a / b for a, b in zip(rates[name], rates[reference], strict=True)]


def table(
    racers: Sequence[Racer], rates: dict[str, list[float]], ceiling: str, reference: str
) -> Iterator[str]:
    """Write a race's result as the rows of a Markdown table.

    Args:
        racers: in the order of their rows.
        rates: what `race` returned.
        ceiling: the racer whose steps are nothing but matrix products: what is possible.
        reference: the racer that the others are compared with, round by round.
    """
    gflop = {racer.name: racer.gflop for racer in racers}
    yield f"| | steps/s, median | lowest to highest | times {reference} | share of the ceiling |"
    yield "| --- | --- | --- | --- | --- |"
    for racer in racers:
        own = rates[racer.name]
        if racer.name == ceiling:  # whose "step" is one product, and compares with no other
            yield f"| {ceiling} | | | | 100% |"
            continue
        against = ratios(rates, racer.name, reference)
        possible = [rate * gflop[ceiling] / racer.gflop for rate in rates[ceiling]]
        share = statistics.median(a / b for a, b in zip(own, possible, strict=True))
        yield (
            f"| {racer.name} | {statistics.median(own):.1f} | {min(own):.1f} to {max(own):.1f} | "
            f"{statistics.median(against):.2f} ({min(against):.2f} to {max(against):.2f}) | "
            f"{share:.0%} |"
        )
