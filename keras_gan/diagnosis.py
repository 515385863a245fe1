"""Early warnings: what goes wrong with a run, told from its numbers in words, with a remedy.

`docs/diagnosis.md` shows each of them. Collapse (`monitors`) and what is not finite (`guards`,
`loop`) are seen where they are looked for.
"""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import keras

from keras_gan.callbacks import current_step
from keras_gan.config import Recipe
from keras_gan.summaries import Summaries

WON = 0.05  # nats of D's loss; guessing costs 2 log 2 = 1.39
FADED = 1e-3  # of G's largest gradient so far
KNOWN_BY_HEART = 0.5  # nats by which D's loss is higher on images that it never saw
STARVED = 0.2  # of the time
SPENT = 1e-3  # of the first learning rate
NEARLY_DONE = 0.9  # of the steps: schedules end there


class Seen(NamedTuple):
    """What a sign is told from.

    Args:
        now: what the run wrote last, by tag.
        largest: the largest value that each tag ever had.
        done: share of the run's steps.
        recipe: of the run.
    """

    now: dict[str, float]
    largest: dict[str, float]
    done: float
    recipe: Recipe


def discriminator_has_won(seen: Seen) -> str:
    """Say so if D's loss is near 0: nothing is left to learn from."""
    d_loss, real, fake = (seen.now[tag] for tag in ("d_loss", "D(x)", "D(G(z))"))
    if d_loss >= WON:
        return ""
    return (
        f"D has won: for long its loss has been near 0 (now {d_loss:.3f}; guessing costs 1.386), "
        f"with D(x) {real:.3f} and D(G(z)) {fake:.3f}, and G learns little from it. "
        f"{_try_weaker_discriminator(seen.recipe)}"
    )


def generator_stands_still(seen: Seen) -> str:
    """Say so if G's gradient has faded beside what it was."""
    norm, largest = (values["gradients/generator"] for values in (seen.now, seen.largest))
    if norm >= FADED * largest:
        return ""
    return (
        f"G's gradient has faded: its norm is {norm:.1e}, and was {largest:.1e}; G stands still. "
        f"{_try_weaker_discriminator(seen.recipe)}"
    )


def discriminator_memorises(seen: Seen) -> str:
    """Say so if D's loss is far higher on images that it did not learn from."""
    train, held_out = seen.now["held_out/d_loss_of_train"], seen.now["held_out/d_loss"]
    if held_out - train <= KNOWN_BY_HEART:
        return ""
    return (
        f"D knows its training images by heart: its loss is {train:.2f} on them and "
        f"{held_out:.2f} on images that it never saw. Try more images, a smaller D, more dropout "
        "in D, r1=1 or fewer steps."
    )


def steps_wait_for_data(seen: Seen) -> str:
    """Say so if much of the time goes into waiting for input."""
    waiting = seen.now["speed/waiting_for_input"]
    if waiting <= STARVED:
        return ""
    return (
        f"Steps wait for their data {waiting:.0%} of the time, at "
        f"{seen.now['speed/steps_per_second']:.1f} steps/s. Try --examples_root on a faster disk, "
        "fewer other processes on this machine, or a smaller image_size."
    )


def learning_rate_is_spent(letter: str, seen: Seen) -> str:
    """Say so if a network's learning rate has fallen to nothing long before the end."""
    tag = f"optimizers/{letter}_learning_rate"
    first = getattr(seen.recipe, f"{letter}_optimizer").learning_rate
    if seen.now[tag] >= SPENT * first or seen.done >= NEARLY_DONE:
        return ""
    return (
        f"{letter.upper()}'s learning rate has gone to nothing: {seen.now[tag]:.1e}, with "
        f"{1 - seen.done:.0%} of the steps to come. Try {letter}_optimizer.decay nearer to 1, a "
        f"larger {letter}_optimizer.minimum, or fewer steps."
    )


class Sign(NamedTuple):
    """One thing that may go wrong.

    Args:
        says: the sentences, what is seen and what to try; empty while all is well.
        needs: the tags that it is told from; it is looked for when the first of them is new.
        patience: looks in a row at which it must be seen: one may be chance.
    """

    says: Callable[[Seen], str]
    needs: tuple[str, ...]
    patience: int


SIGNS = {
    "won": Sign(discriminator_has_won, ("d_loss", "D(x)", "D(G(z))"), 20),
    "still": Sign(generator_stands_still, ("gradients/generator",), 3),
    "by heart": Sign(discriminator_memorises, ("held_out/d_loss", "held_out/d_loss_of_train"), 3),
    "waiting": Sign(steps_wait_for_data, ("speed/waiting_for_input", "speed/steps_per_second"), 3),
    **{
        f"{letter} spent": Sign(
            functools.partial(learning_rate_is_spent, letter),
            (f"optimizers/{letter}_learning_rate",),
            1,
        )
        for letter in "dg"
    },
}


class Diagnosis(keras.callbacks.Callback):
    """Warn once of each sign; again only if it was gone for as long as it takes to be seen.

    Args:
        summaries: what the other hooks wrote is read there, and warnings are written.
        recipe: of the run.
        total_steps: of the run.
    """

    def __init__(self, summaries: Summaries, recipe: Recipe, total_steps: int):
        super().__init__()
        self._summaries, self._recipe, self._total = summaries, recipe, total_steps
        self._largest: dict[str, float] = {}
        self._looks = dict.fromkeys(SIGNS, 0)  # in a row: bad ones, or good ones below 0
        self._warned: set[str] = set()
        self._step = 0

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Look for every sign whose numbers are new; the other hooks have written them."""
        step = current_step(self.model)
        if step < self._step:  # it was rolled back: what was seen since is of other weights
            self._largest.clear()
            self._looks = dict.fromkeys(SIGNS, 0)
        self._step = step
        # What is not finite is told elsewhere.
        latest = self._summaries.latest.items()
        now = {tag: value for tag, (_, value) in latest if math.isfinite(value)}
        fresh = {tag for tag, (at, _) in self._summaries.latest.items() if at == step}
        for tag, value in now.items():
            self._largest[tag] = max(value, self._largest.get(tag, value))
        seen = Seen(now, self._largest, step / self._total, self._recipe)
        for name, sign in SIGNS.items():
            if sign.needs[0] in fresh and now.keys() >= set(sign.needs):
                self._look(name, sign, sign.says(seen), step)

    def _look(self, name: str, sign: Sign, text: str, step: int) -> None:
        """Count a look, and warn if it is time."""
        before = self._looks[name]
        self._looks[name] = max(before, 0) + 1 if text else min(before, 0) - 1
        if self._looks[name] >= sign.patience and name not in self._warned:
            self._warned.add(name)
            self._summaries.warn(step, text)
        elif self._looks[name] <= -sign.patience:
            self._warned.discard(name)


def _try_weaker_discriminator(recipe: Recipe) -> str:
    """Say what helps a generator that its discriminator leaves behind."""
    remedies = ["lower learning rates", "more dropout in D", "r1=1"]
    if recipe.loss == "minimax":
        remedies.insert(0, "loss=non_saturating")
    if recipe.d_steps > 1:
        remedies.insert(0, "d_steps=1")
    return f"Try {', '.join(remedies[:-1])} or {remedies[-1]}."
