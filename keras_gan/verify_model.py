"""Check that an export is, byte for byte, what was exported, and that it only computes.

    python -m keras_gan.verify_model saved_models/mnist

Takes one version's folder, or a folder of versions, whose newest is checked. A fault is named with
its file, and the exit code is 2. The card's hashes guard against accidents and careless hands; who
can rewrite the card can rewrite the hashes: compare its own, printed here, with one you kept.
"""

import sys

from absl import flags

from keras_gan import card, cli, servable
from keras_gan.interfaces import UserError

FLAGS = flags.FlagValues()


def main(values: flags.FlagValues, arguments: list[str]) -> None:
    """Run the command with its parsed flags."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        raise UserError(f"Expected one export; received {' '.join(arguments) or 'none'}.")
    folder = card.find(arguments[0])
    facts = card.verify(folder)
    with cli.without_chatter():
        servable.expect_harmless(folder)
    print(f"{folder}: {len(facts['files'])} files are whole, card {facts['sha256'][:12]}...")  # noqa: T201


def run() -> int:
    """Run the command line."""
    return cli.run(main, FLAGS, __doc__ or "", pass_on=True)


if __name__ == "__main__":
    sys.exit(run())
