"""What a terminal, or a file in its place, gets to see of a training."""

import io
import json
import logging as standard_logging
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import time

import pytest
from absl import flags, logging

from keras_gan import callbacks, cli, train
from tests.conftest import ROOT, started

SMALL = [
    "--set=network.generator_units=16",
    "--set=network.discriminator_units=8",
    "--set=batch_size=8",
    "--set=log_every=5",
]


def arguments(folder, examples, *others):
    return [
        *("--recipe=mnist", f"--examples={examples}", f"--workdir={folder / 'a run'}"),
        *(f"--export_dir={folder / 'e'}", *SMALL, *others),
    ]


def run_into_files(folder, *given):
    """Train with both streams in files; return (exit code, standard output, standard error)."""
    with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
        command = [sys.executable, "-m", "keras_gan.train", *given]
        done = subprocess.run(command, cwd=ROOT, stdout=out, stderr=err, timeout=120, check=False)
    # As bytes: Python would read a \r as the end of a line.
    return done.returncode, *((folder / name).read_bytes().decode() for name in ("out", "err"))


def test_a_file_gets_plain_lines_and_a_summary(examples, tmp_path):
    code, out, err = run_into_files(tmp_path, *arguments(tmp_path, examples, "--steps=12"))
    assert code == 0, err
    for text in (out, err):
        assert not [sign for sign in text if not sign.isprintable() and sign != "\n"]
    where, first, *_ = err.splitlines()
    assert where == "Training on one CPU"
    assert re.match(r"Epoch 1/1, step 1/12, d_loss \d\.\d\d, g_loss ", first)
    steps, spent, losses, parzen, report, samples, logs, model = out.splitlines()
    assert steps == "Steps:   12, 0.4 epochs"
    assert re.fullmatch(r"Report:  .+report\.html", report)
    assert re.fullmatch(r"Time:    00:\d\d for 12 steps here, [\d,]+ images/s", spent)
    number = r"-?\d+\.\d{3}"
    assert re.fullmatch(
        rf"Losses:  d_loss {number}, g_loss {number}, D\(x\) {number}, D\(G\(z\)\) {number} "
        r"\(means of the last interval\)",
        losses,
    )
    assert re.fullmatch(r"Parzen:  -?[\d.]+ nats on held-out images, while training", parzen)
    assert samples == f"Samples: {tmp_path / 'a run' / 'samples' / 'step-0000012.png'}"
    assert logs.startswith(f"Logs:    {tmp_path / 'a run'}/")
    assert model.startswith(f"Model:   {tmp_path / 'e' / '1'}    Next: python -m keras_gan.sample")
    # Again: there is nothing to train, and still something to say. Then nothing but warnings.
    code, out, err = run_into_files(tmp_path, *arguments(tmp_path, examples, "--steps=12"))
    assert code == 0, err
    titles = [line.partition(":")[0] for line in out.splitlines()]
    assert titles == ["Steps", "Parzen", "Report", "Samples", "Logs", "Model"]
    quiet = arguments(tmp_path, examples, "--steps=14", "--verbosity=-1")
    code, out, err = run_into_files(tmp_path, *quiet)
    assert (code, out) == (0, ""), err
    assert err.splitlines() == ["The samples have no variety yet; that may come with more steps"]


def test_an_error_is_said_however_quiet(tmp_path, capsys):
    flag = f"--examples={tmp_path / 'none'}"
    assert cli.run(train.main, train.FLAGS, "", ["train", flag, "--verbosity=-1"]) == 2
    assert capsys.readouterr().err.startswith("error: Expected a finished data folder")


def test_ctrl_c_saves_and_names_the_command_that_goes_on(examples, tmp_path):
    given = arguments(tmp_path, examples, "--steps=1000000", "--set=checkpoint_every=5")
    command = [sys.executable, "-m", "keras_gan.train", *given]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "cwd": ROOT}
    with started(command, **pipes) as process:
        deadline = time.monotonic() + 120
        folder = tmp_path / "a run" / "checkpoints"
        while not (folder / "step-0000005").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        text, _ = process.communicate(timeout=120)
        assert process.returncode == 130, text
    saved, told, empty, last = text.splitlines()[-4:]
    found = re.fullmatch(r"Saved as (.+); the same command goes on from there", saved)
    assert pathlib.Path(found[1]).parent == folder
    assert (pathlib.Path(found[1]) / "checkpoint.json").is_file()
    assert (empty, last) == ("", "Interrupted.")
    assert told.startswith("To go on: python -m keras_gan.train ")
    assert sorted(shlex.split(told)[6:]) == sorted(given)
    run = json.loads((tmp_path / "a run" / "run.json").read_text())
    assert (run["ended"]["how"], told) == ("interrupted", f"To go on: {run['command']}")
    assert run["ended"]["step"] == int(found[1][-7:])


def test_the_command_is_written_as_it_was_given():
    given = ["--recipe=mnist", "--set=latent=3", "--set=name=a b", "--deterministic", "--seed=0"]
    seen = []
    for _ in range(2):  # what was written is read as what was given
        code = cli.run(lambda v: seen.append(cli.given(v)), train.FLAGS, "", ["train", *given])
        assert code == 0
    assert sorted(seen[0]) == sorted(given)
    assert seen[0] == seen[1]
    cli.run(lambda v: seen.append(cli.given(v)), train.FLAGS, "", ["train", "--nodeterministic"])
    assert seen[2] == ["--nodeterministic"]


@pytest.fixture
def verbosity():
    """Leave absl's log, which is the process's own, as it was."""
    flag, filters = flags.FLAGS["verbosity"], list(logging.get_absl_handler().filters)
    before = flag.value, flag.using_default_value
    yield
    flag.value, flag.using_default_value = before
    logging.get_absl_handler().filters[:] = filters


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--verbosity=-1"], ["own warning", "library error"]),
        ([], ["own info", "own warning", "library error"]),
        (
            ["--verbosity=1"],
            [
                *("own debug", "own info", "own warning"),
                *("library debug", "library warning", "library error"),
            ],
        ),
    ],
)
def test_verbosity_chooses_what_is_said(verbosity, given, said):
    def main(values):
        logger, handler = logging.get_absl_logger(), logging.get_absl_handler()
        for path, whose in ((train.__file__, "own"), ("/elsewhere.py", "library")):
            levels = (
                ("debug", "info", "warning") if whose == "own" else ("debug", "warning", "error")
            )
            for level in levels:
                number = getattr(standard_logging, level.upper())
                record = logger.makeRecord("absl", number, path, 1, f"{whose} {level}", (), None)
                if logger.isEnabledFor(number) and handler.filter(record):
                    seen.append(record.getMessage())

    seen = []
    # Another command before it in this process leaves nothing behind.
    cli.run(lambda values: None, flags.FlagValues(), "", ["command", "--verbosity=-1"])
    assert cli.run(main, flags.FlagValues(), "", ["command", *given]) == 0
    assert seen == said


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("asked", "shown"), [("-1", False), ("0", True)])
def test_a_terminal_has_a_bar_unless_it_shall_be_quiet(verbosity, monkeypatch, asked, shown):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)

    def main(values):
        progress = callbacks.Progress(first_step=0, total_steps=40, steps_per_epoch=10)
        progress.on_epoch_begin(0)
        progress.on_train_batch_end(4, {"d_loss": 1.25})
        progress.close()

    assert cli.run(main, flags.FlagValues(), "", ["command", f"--verbosity={asked}"]) == 0
    assert ("5/40" in terminal.getvalue()) == shown
    assert bool(terminal.getvalue()) == shown


def test_a_library_user_who_asked_for_nothing_has_a_bar(verbosity):
    flag = flags.FLAGS["verbosity"]
    flag.unparse()
    assert flag.value < logging.INFO  # absl's default
    assert not cli.is_quiet()
    logging.set_verbosity(logging.WARNING)
    assert cli.is_quiet()
