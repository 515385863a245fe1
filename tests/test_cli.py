"""What every command does with help and with bad input."""

import copy
import errno
import os
import subprocess
import sys
import typing

import pytest
from absl import flags

from keras_gan import (
    checkpoints,
    classify,
    cli,
    config,
    distribution,
    evaluate,
    export_model,
    infer,
    inpaint,
    loader,
    reconstruct,
    report,
    runs,
    sample,
    train,
    verify_model,
)
from keras_gan.interfaces import UserError
from pipelines import lineage, preprocess, verify
from pipelines import run as chain

COMMANDS = {
    "keras_gan.train": train,
    "keras_gan.sample": sample,
    "keras_gan.evaluate": evaluate,
    "keras_gan.classify": classify,
    "keras_gan.export_model": export_model,
    "keras_gan.infer": infer,
    "keras_gan.reconstruct": reconstruct,
    "keras_gan.inpaint": inpaint,
    "keras_gan.loader": loader,
    "keras_gan.report": report,
    "keras_gan.verify_model": verify_model,
    "keras_gan.runs": runs,
    "pipelines.preprocess": preprocess,
    "pipelines.verify": verify,
    "pipelines.run": chain,
    "pipelines.lineage": lineage,
}
# Beam's flags; a folder.
PASS_ON = {
    *("keras_gan.loader", "keras_gan.verify_model", "keras_gan.runs"),
    *("pipelines.preprocess", "pipelines.verify", "pipelines.lineage"),
}


def test_train_offers_what_the_library_has():
    assert tuple(train.FLAGS["strategy"].parser.enum_values) == distribution.NAMES
    assert train.FLAGS["keep"].default == checkpoints.KEEP
    precisions = typing.get_args(typing.get_type_hints(config.Recipe)["compute_dtype"])
    assert tuple(train.FLAGS["precision"].parser.enum_values) == precisions


def test_a_call_leaves_nothing_to_the_next_one_in_the_process(capsys):
    seen = []
    for arguments in (["--seed=5"], []):
        cli.run(lambda values: seen.append(values.seed), train.FLAGS, "", ["train", *arguments])
    assert seen == [5, train.FLAGS["seed"].default]


def run(name, *argv):
    command = COMMANDS[name]
    return cli.run(
        command.main, command.FLAGS, command.__doc__, [name, *argv], pass_on=name in PASS_ON
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_usage_and_every_flag(name, capsys):
    assert run(name, "--help") == 0
    text = capsys.readouterr().out
    assert f"python -m {name}" in text
    for flag in COMMANDS[name].FLAGS:
        assert f"--{flag}" in text


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("arguments", ["--help", "--nonsense=1"])
def test_help_and_flag_errors_come_before_tensorflow(name, arguments):
    program = (
        "import runpy, sys\n"
        f"sys.argv = [{name!r}, {arguments!r}]\n"
        "try:\n"
        f"    runpy.run_module({name!r}, run_name='__main__')\n"
        "except SystemExit as stop:\n"
        "    heavy = {'tensorflow', 'keras', 'apache_beam', 'tensorflow_datasets'}\n"
        "    print('heavy:', sorted(heavy & set(sys.modules)), 'code:', stop.code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    code = 0 if arguments == "--help" else 2
    assert f"heavy: [] code: {code}" in done.stdout


def test_a_reader_that_leaves_is_no_error():
    with subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.PIPE) as reader:
        reader.wait()
        command = [sys.executable, "-m", "keras_gan.classify", "--help"]
        done = subprocess.run(command, stdout=reader.stdin, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize(
    ("name", "argv", "message"),
    [
        ("keras_gan.train", ["--nonsense=1"], "Unknown command line flag 'nonsense'"),
        ("keras_gan.train", ["--stepz=1"], "Did you mean: steps"),
        ("keras_gan.train", ["extra"], "received 'extra'"),
        ("keras_gan.train", [], "Expected --images, --dataset, --arrays, --examples or --recipe"),
        ("keras_gan.train", ["--recipe=mnits"], "Did you mean 'mnist'?"),
        ("keras_gan.train", ["--dataset=mnist", "--steps=0"], "flag --steps=0"),
        ("keras_gan.train", ["--dataset=mnist", "--steps=x"], "flag --steps=x"),
        ("keras_gan.train", ["--dataset=mnist", "--steps=1", "--epochs=1"], "--steps or --epochs"),
        ("keras_gan.train", ["--dataset=mnist", "--set=batch_sise=1"], "Did you mean 'batch_size'"),
        ("keras_gan.train", ["--dataset=mnist", "--set=latent=0"], "latent of at least 1"),
        ("keras_gan.train", ["--dataset=mnist", "--seed=-1"], "flag --seed=-1"),
        ("keras_gan.train", ["--dataset=mnist", "--workdir=/dev/null/x"], "can be written"),
        ("keras_gan.sample", [], "either --model or --workdir"),
        ("keras_gan.sample", ["--model=a", "--workdir=b"], "either --model or --workdir"),
        ("keras_gan.sample", ["--model=a", "--n=0"], "flag --n=0"),
        ("keras_gan.sample", ["--model=a", "--out=x.gif"], "end in .png or .npz"),
        ("keras_gan.sample", ["--model=no/such/place"], "Expected an export"),
        ("keras_gan.sample", ["--workdir=no/such/place"], "Expected a work directory"),
        ("keras_gan.report", [], "Expected --workdir; received none"),
        ("keras_gan.report", ["--workdir=no/such/place"], "Expected a work directory"),
        ("keras_gan.report", ["--workdir=a", "--out=/dev/null/x"], "can be written"),
        ("keras_gan.classify", [], "either --dataset or --examples"),
        ("keras_gan.classify", ["--dataset=mnist", "--labels=few"], "--labels=few"),
        ("keras_gan.evaluate", [], "either --model or --workdir"),
        ("keras_gan.evaluate", ["--model=saved"], "Expected an export"),
        ("keras_gan.train", ["--dataset=mnist", "--images=x"], "received --dataset=mnist and --im"),
        ("keras_gan.train", ["--images=x", "--examples=y"], "one source of images"),
        ("keras_gan.train", ["--images=x", "--data_dir=y"], "Expected --data_dir with a --dataset"),
        ("keras_gan.train", ["--examples=x", "--manual_dir=y"], "--manual_dir without --examples"),
        ("keras_gan.train", ["--images=no/such/folder"], "Expected --images to be a folder"),
        ("keras_gan.train", ["--examples=no/such/folder"], "Expected a finished data folder"),
        ("keras_gan.infer", [], "Expected --workdir; received none"),
        ("keras_gan.infer", ["--workdir=no/such/place"], "Expected a work directory"),
        ("keras_gan.infer", ["--workdir=x", "--steps=0"], "flag --steps=0"),
        ("keras_gan.infer", ["--workdir=x", "--set=unitz=1"], "Did you mean 'units'?"),
        ("keras_gan.infer", ["--workdir=x", "--set=batch_size=0"], "batch_size of at least 1"),
        ("keras_gan.reconstruct", [], "Expected --workdir; received none"),
        ("keras_gan.reconstruct", ["--workdir=no/such/place"], "Expected a work directory"),
        ("keras_gan.reconstruct", ["--workdir=x", "--out=x.jpg"], "--out to end in .png"),
        ("keras_gan.reconstruct", ["--workdir=x", "--labels=1"], "--labels with --images"),
        ("pipelines.preprocess", ["--out=x"], "--dataset, --images, --arrays; received none"),
        ("pipelines.preprocess", ["--dataset=a", "--images=b"], "received --dataset and --images"),
        ("pipelines.preprocess", ["folder"], "received 'folder'"),
        ("pipelines.preprocess", ["--dataset=mnist", "--size=-1"], "flag --size=-1"),
        ("pipelines.preprocess", ["--dataset=mnist", "--size=2"], "4 to 4096; received 2"),
        ("pipelines.preprocess", ["--dataset=mnist", "--channels=2"], "--channels of 1 or 3"),
        ("pipelines.preprocess", ["--dataset=mnist", "--fit=fill"], "value should be one of"),
        ("pipelines.preprocess", ["--dataset=mnist", "--validation=1"], "last:N"),
        ("pipelines.preprocess", ["--dataset=mnist", "--test=last:5"], "--test to be hash:SHARE"),
        ("pipelines.preprocess", ["--dataset=mnist", "--splits=train"], "Expected --splits as"),
        ("pipelines.preprocess", ["--dataset=mnist", "--splits=test=x"], "--splits to name train"),
        ("pipelines.preprocess", ["--dataset=mnist", "--allow=nothing"], "to be one of image_sh"),
        ("pipelines.preprocess", ["--dataset=mnist", "--schema=none"], "Schema in text form"),
        ("pipelines.preprocess", ["--dataset=mnist", "--baseline=none"], "finished data folder"),
        ("pipelines.preprocess", ["--dataset=mnits"], "Did you mean"),
        ("pipelines.preprocess", ["--images=none"], "to be a folder or a pattern; received"),
        ("pipelines.preprocess", ["--images=a://b/*.png"], "a file system that is installed"),
        ("pipelines.preprocess", ["--arrays=none.npz"], "none.npz, which is not there"),
        ("pipelines.preprocess", ["--dataset=mnist", "--imagse=x"], "Did you mean --images?"),
        ("pipelines.preprocess", ["--dataset=mnist", "--runer=x"], "Did you mean --runner?"),
        ("pipelines.preprocess", ["--images=.", "--runner=Prism"], "downloads a program"),
        ("pipelines.preprocess", ["--imges=x"], "Did you mean --images?"),
        ("pipelines.preprocess", ["--images=.", "--fold=1"], "--fold with a .mat file"),
        ("pipelines.verify", [], "Expected one data folder; received none"),
        ("pipelines.verify", ["no/such/folder"], "Expected a finished data folder"),
        ("keras_gan.runs", [], "received runs without any"),
        ("keras_gan.runs", ["no/such", "place"], "received no/such and place without any"),
        ("keras_gan.runs", ["--jsno"], "Expected folders; received --jsno"),
        ("keras_gan.train", ["--verbosity=2"], "flag --verbosity=2"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    name, argv, message, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert run(name, *argv) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("error: ")
    assert message in lines[-1]
    assert not list(tmp_path.iterdir()), "something half-written is left"


@pytest.mark.parametrize(
    ("raised", "code", "message"),
    [
        (UserError("Expected a;\n   received b."), 2, "error: Expected a; received b.\n"),
        (
            OSError(errno.ENOSPC, "No space left on device", "/disk"),
            2,
            "use /disk; received: No space",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "/root"),
            2,
            "use /root; received: Permission",
        ),
        (KeyboardInterrupt(), 130, "Interrupted"),
    ],
)
def test_what_a_command_raises(raised, code, message, capsys):
    def main(values):
        raise raised

    assert cli.run(main, flags.FlagValues(), "doc", ["program"]) == code
    assert message in capsys.readouterr().err


def test_preprocess_never_replaces_a_folder(tmp_path, capsys):
    (tmp_path / "photo.jpg").touch()
    assert run("pipelines.preprocess", "--dataset=mnist", f"--out={tmp_path}") == 2
    assert "new or empty folder" in capsys.readouterr().err
    assert (tmp_path / "photo.jpg").exists()


def test_a_tilde_is_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    values = flags.FlagValues()
    flags.DEFINE_string("folder", None, "A folder.", flag_values=values)
    flags.DEFINE_multi_string("file", [], "Files.", flag_values=values)
    flags.DEFINE_multi_integer("seed", [0], "Of each.", flag_values=values)
    seen = []
    given = ["p", "--folder=~/x", "--file=~/y", "--file=~", "--seed=1", "--seed=2"]
    assert cli.run(lambda v: seen.append((v.folder, v.file, v.seed)), values, "doc", given) == 0
    assert seen == [("/home/someone/x", ["/home/someone/y", "~"], [1, 2])]


def test_a_full_disk_is_named_whatever_wraps_it(capsys):
    def main(values):
        raise RuntimeError("ckpt.data; No space left on device [while running 'Write']")

    assert cli.run(main, flags.FlagValues(), "doc", ["program"]) == 2
    assert capsys.readouterr().err.startswith("error: Expected room on the disk")


def test_a_bug_is_not_hidden():
    def main(values):
        raise OSError(errno.EIO, "Input/output error", "x")

    with pytest.raises(OSError, match="Input/output"):
        cli.run(main, flags.FlagValues(), "doc", ["program"])


def test_expect_writable_looks_at_the_nearest_folder(tmp_path):
    cli.expect_writable(tmp_path / "a" / "b")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="can be written"):
        cli.expect_writable(tmp_path / "file" / "b")


def test_an_export_has_no_checkpoints(tmp_path, capsys):
    arguments = [f"--model={tmp_path}", "--checkpoint=best"]
    for command in (sample, evaluate):
        assert cli.run(command.main, command.FLAGS, "", ["command", *arguments]) == 2
        assert "Expected --checkpoint with --workdir; received" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "workdir"),
    [
        (["--dataset=mnist"], "runs/mnist"),
        (["--dataset=mnist", "--seed=0"], "runs/mnist"),
        (["--dataset=mnist", "--seed=1"], "runs/mnist_seed_1"),
        (["--recipe=mnist_paper", "--set=seed=12"], "runs/mnist_paper_seed_12"),
    ],
)
def test_each_seed_has_a_folder_of_its_own(arguments, workdir):
    values = copy.deepcopy(train.FLAGS)
    values(["train", *arguments])
    assert train.default_workdir(train.recipe_from(values)) == workdir


@pytest.mark.parametrize(("given", "found"), [(None, "1"), ("0", "0")])
def test_onednn_is_on_unless_a_user_says_otherwise(given, found, monkeypatch):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    if given is not None:
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", given)
    seen = []
    values = flags.FlagValues()
    command = lambda values: seen.append(os.environ["TF_ENABLE_ONEDNN_OPTS"])  # noqa: E731
    assert cli.run(command, values, "", ["command"]) == 0
    assert seen == [found]
