"""Export a training run's generator in TensorFlow Serving's layout, as a new version.

    python -m keras_gan.export_model --workdir=runs/mnist --export_dir=saved_models/mnist
    python -m keras_gan.export_model --workdir=runs/mnist --checkpoint=best --version=7

Training exports its last step by itself; this is for other steps, places and numbers. What
keras_gan.evaluate measured of that step goes into the model's card.
"""

import pathlib
import sys

from absl import flags, logging

from keras_gan import cli
from keras_gan.interfaces import UserError

FLAGS = flags.FlagValues()
flags.DEFINE_string("workdir", None, "A training run's work directory.", flag_values=FLAGS)
flags.DEFINE_string(
    "export_dir",
    None,
    "Folder of the versions (default: saved_models/ and the work directory's name).",
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "version",
    None,
    "The version's number (default: one above the newest).",
    lower_bound=1,
    flag_values=FLAGS,
)
flags.DEFINE_string("checkpoint", "newest", cli.CHECKPOINT_HELP, flag_values=FLAGS)


def main(values: flags.FlagValues) -> None:
    """Run the command with its parsed flags."""
    if not values.workdir:
        raise UserError("Expected --workdir; received none. Try --workdir=runs/mnist.")
    name = pathlib.Path(values.workdir).resolve().name
    export_dir = pathlib.Path(values.export_dir or f"saved_models/{name}")
    cli.expect_writable(export_dir)
    cli.import_tensorflow()
    from keras_gan import card, evaluation, trained

    def measured(step: int, data_hash: str) -> dict[str, object]:
        found = evaluation.kept(values.workdir, step, data_hash)
        if not found:
            more = "" if values.checkpoint == "newest" else f" --checkpoint={step}"
            logging.info(
                "The card has no scores of step %s; they come from python -m keras_gan.evaluate "
                "--workdir=%s%s, before the export",
                f"{step:,}",
                values.workdir,
                more,
            )
        return found

    versions = card.versions(export_dir)
    newest = export_dir / str(versions[-1]) if versions else None
    if newest and (newest / card.CARD).is_file() and "lineage" in card.read(newest):
        logging.warning(
            "%s was pushed by pipelines.run, which judged it; this export is not judged, and will "
            "be the newest",
            newest,
        )
    model = trained.export_run(
        values.workdir,
        export_dir,
        version=values.version,
        which=values.checkpoint,
        measured=measured,
    )
    print(f"Model:   {model}    Card: {model / 'assets.extra' / 'README.md'}")  # noqa: T201
    print(f"Next:    python -m keras_gan.sample --model={export_dir}")  # noqa: T201


def run() -> int:
    """Run the command line."""
    return cli.run(main, FLAGS, __doc__ or "")


if __name__ == "__main__":
    sys.exit(run())
