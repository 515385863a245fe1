"""Judge a generator by the Parzen window log-likelihood of the paper's Table 1.

    python -m keras_gan.evaluate --model=saved_models/mnist
    python -m keras_gan.evaluate --workdir=runs/mnist [--live] [--out=result.json]

Protocol: 10,000 samples, sigma from numpy.logspace(-1, 0, 10) by 1,000 of the validation images,
mean and standard error over the test images, in nats. The rows of real training images, of the same
slightly blurred, and of cluster centres, judged the same way, say what the ruler itself is worth:
above the first of them, it rewards smoothing. All but the first take minutes, once: they are kept
beside the data folder. The published widths are coarse; the columns on the right have the width
chosen more finely.

Of a conditional model it prints, too, how many samples show the class that was asked for, to a
classifier trained on the real images alone (a minute or two, once; kept beside the data folder),
and the log-likelihood of each class's test images under samples of that class.
"""

import contextlib
import json
import pathlib
import sys
from typing import Any, cast

from absl import flags, logging

from keras_gan import cli, files
from keras_gan.interfaces import ClassSampler, Sampler, UserError
from keras_gan.published import PUBLISHED_FACES, PUBLISHED_MNIST

FLAGS = flags.FlagValues()
flags.DEFINE_string("model", None, "An export, or a folder of versions.", flag_values=FLAGS)
flags.DEFINE_string("workdir", None, "A training run's work directory.", flag_values=FLAGS)
flags.DEFINE_string("checkpoint", "newest", cli.CHECKPOINT_HELP, flag_values=FLAGS)
flags.DEFINE_bool(
    "live", False, "Of a work directory, judge the live weights too.", flag_values=FLAGS
)
flags.DEFINE_string(
    "examples",
    None,
    "The data folder that judges (default: the one trained on).",
    flag_values=FLAGS,
)
flags.DEFINE_string("examples_root", "data", "Where to look for it.", flag_values=FLAGS)
flags.DEFINE_bool(
    "ruler",
    True,
    "Judge blurred and all training images and cluster centres, too: minutes, the first time.",
    flag_values=FLAGS,
)
flags.DEFINE_bool(
    "classes", True, "Judge a conditional model class by class, too.", flag_values=FLAGS
)
flags.DEFINE_integer("n", 10000, "Samples to draw.", lower_bound=2, flag_values=FLAGS)
flags.DEFINE_integer(
    "seed", 0, "Of the samples.", lower_bound=0, upper_bound=2**32 - 1, flag_values=FLAGS
)
flags.DEFINE_string("out", None, "Write the rows as JSON too.", flag_values=FLAGS)

RULER_VERSION = 2  # of how its rows are measured


def ruler_rows(examples: pathlib.Path, values: flags.FlagValues) -> dict[str, dict[str, float]]:
    """Judge real images as the samples were; what takes long is read from where it was kept."""
    from keras_gan import evaluation, records

    if not values.ruler:
        return evaluation.measure_ruler(examples, samples=values.n, seed=values.seed, whole=False)
    examples = examples.absolute()  # "." has no name
    key = {
        "data_hash": records.DatasetInfo.read(examples).data_hash,
        "samples": values.n,
        "seed": values.seed,
        "version": RULER_VERSION,
    }
    kept = examples.with_name(f"{examples.name}.ruler-{values.n}-{values.seed}.json")
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        found = json.loads(kept.read_text())
        if found["of"] == key:
            return dict(found["rows"])
    logging.info("Judging real images and cluster centres for %s; --noruler leaves it out", kept)
    rows = evaluation.measure_ruler(examples, samples=values.n, seed=values.seed)
    with contextlib.suppress(OSError), files.replacing(kept) as temporary:
        temporary.write_text(json.dumps({"of": key, "rows": rows}, indent=2) + "\n")
    return rows


def print_classes(found: dict[str, Any]) -> None:
    """Print what `class_evaluation.judge_classes` found."""
    print(  # noqa: T201
        f"Shows the class asked for: {found['agreement']:.2%} +- {found['agreement_stderr']:.2%} "
        f"of {found['samples']} samples, to a classifier that is\nright on "
        f"{found['classifier']:.2%} +- {found['classifier_stderr']:.2%} of the real test images. "
        "Log-likelihood of each class's test images (nats),\nunder samples of that class, and "
        "under as many training images:"
    )
    for row in [*found["classes"], {"name": "all", **found}]:
        line = f"{row['name'][:20]:<21}{row['agreement']:8.2%}"
        if "log_likelihood" in row:
            line += "".join(
                f"{row[f'{kind}log_likelihood']:11.2f} +- {row[f'{kind}stderr']:.2f}"
                for kind in ("", "real_")
            )
        print(line)  # noqa: T201


def main(values: flags.FlagValues) -> None:
    """Run the command with its parsed flags."""
    cli.expect_one_of(values, "model", "workdir")
    cli.expect_checkpoint_of_a_run(values)
    if values.model and values.live:
        raise UserError(
            "Expected --live with --workdir; received --model, which has no live weights."
        )
    if values.out:
        cli.expect_writable(pathlib.Path(values.out).parent)
    cli.import_tensorflow()
    from keras_gan import callbacks, class_evaluation, evaluation, pages, records, summaries
    from keras_gan.metrics import parzen

    subject = evaluation.load_subject(
        values.model,
        values.workdir,
        values.examples,
        values.examples_root,
        checkpoint=values.checkpoint,
    )
    examples, gan = subject.examples, subject.gan
    samplers: dict[str, Sampler] = {"generator": subject.sampler}
    if values.live and gan is not None and gan.average is not None:
        samplers["generator, live weights"] = gan.live()
    rows = evaluation.evaluate(samplers, examples, samples=values.n, seed=values.seed)
    rows |= ruler_rows(examples, values)
    if values.n != parzen.PUBLISHED_SAMPLES:
        logging.warning(
            "%d samples, not the published %d: more samples score higher.",
            values.n,
            parzen.PUBLISHED_SAMPLES,
        )
    print(f"{'log-likelihood (nats)':>58}   sigma  samples{'sigma fitted finely':>28}")  # noqa: T201
    for name, row in rows.items():
        scores = tuple(
            f"{row[f'{kind}log_likelihood']:9.2f} +- {row[f'{kind}stderr']:.2f}"
            for kind in ("", "fine_")
        )
        print(  # noqa: T201
            f"{name:<42}{scores[0]}  {row['sigma']:.4f}  {row['samples']:>7}"
            f"{scores[1]}  {row['fine_sigma']:.4f}"
        )
    if gan is not None:
        scalars = {f"log_likelihood/{name}": row["log_likelihood"] for name, row in rows.items()}
        written = summaries.Summaries(pathlib.Path(values.workdir) / summaries.FOLDER)
        written.scalars(callbacks.current_step(gan), scalars)
        written.close()
    info = records.DatasetInfo.read(examples)
    by_class = {}
    if values.classes and getattr(subject.sampler, "num_classes", None):
        by_class = class_evaluation.judge_classes(
            cast(ClassSampler, subject.sampler), examples, samples=values.n, seed=values.seed
        )
    if gan is not None:
        row = rows["generator"]
        row |= {key: by_class[key] for key in ("agreement", "agreement_stderr") if by_class}
        evaluation.keep(values.workdir, callbacks.current_step(gan), info, row)
        pages.refresh(values.workdir)
    published = PUBLISHED_MNIST if info.dataset.startswith("mnist/") else {}
    if evaluation.is_face_database(info):
        published = PUBLISHED_FACES
        print("Above: one fold, error over its images. Published: error over folds.")  # noqa: T201
    for name, (mean, stderr) in published.items():
        print(f"{name:<44}{mean:7.1f} +- {stderr:.1f}   published")  # noqa: T201
    if by_class:
        print_classes(by_class)
    if values.out:
        rows |= {"by class": by_class} if by_class else {}
        with files.replacing(pathlib.Path(values.out)) as temporary:
            temporary.write_text(json.dumps(rows, indent=2) + "\n")


def run() -> int:
    """Run the command line."""
    return cli.run(main, FLAGS, __doc__ or "")


if __name__ == "__main__":
    sys.exit(run())
