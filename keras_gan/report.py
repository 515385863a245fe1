"""Write what is known of a run as one page, or compare several.

    python -m keras_gan.report --workdir=runs/mnist
    python -m keras_gan.report --workdir=runs/one --workdir=runs/two --out=comparison.html

The page opens from disk in any browser and needs nothing else. One run: samples over time, curves,
scores, settings, cost and warnings. Several: a table, their curves over each other, their samples.
It can be written while a run goes on.
"""

import pathlib
import sys

from absl import flags

from keras_gan import cli
from keras_gan.interfaces import UserError

FLAGS = flags.FlagValues()
flags.DEFINE_multi_string(
    "workdir", [], "A training run's work directory; several are compared.", flag_values=FLAGS
)
flags.DEFINE_string(
    "out",
    None,
    "The file (default: report.html, in the work directory if there is only one).",
    flag_values=FLAGS,
)


def main(values: flags.FlagValues) -> None:
    """Run the command with its parsed flags."""
    if not values.workdir:
        raise UserError("Expected --workdir; received none. Try --workdir=runs/mnist.")
    if values.out:
        cli.expect_writable(pathlib.Path(values.out).parent)
        if not values.out.endswith(".html"):
            raise UserError(f"Expected --out to end in .html; received {values.out}.")
    from keras_gan import pages

    print(f"Report: {pages.write_report(values.workdir, values.out)}")  # noqa: T201


def run() -> int:
    """Run the command line."""
    return cli.run(main, FLAGS, __doc__ or "")


if __name__ == "__main__":
    sys.exit(run())
