"""The README's commands, as a user runs them, at a small size."""

import json
import shlex

import numpy as np
import pytest
from PIL import Image

from tests.commands import run_fresh, run_module
from tests.conftest import ROOT

SMALL = [
    "--set=network.generator_units=32",
    "--set=network.discriminator_units=16",
    "--set=log_every=10",
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, mnist_examples):
    """Train in an empty folder; TFDS's prepared copy is the fixture's."""
    folder = tmp_path_factory.mktemp("user")
    data_dir = mnist_examples.parent.parent / "tfds"
    arguments = ["--dataset=mnist", f"--data_dir={data_dir}", "--steps=30", *SMALL]
    done = run_fresh("keras_gan.train", *arguments, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, arguments, done


def test_train_ends_with_a_summary(trained):
    folder, _, done = trained
    *numbers, samples, logs, model = done.stdout.strip().splitlines()
    titles = [line.split()[0] for line in numbers]
    assert titles == ["Steps:", "Time:", "Losses:", "Parzen:", "Report:"]
    assert (folder / "runs/mnist/report.html").is_file()
    assert numbers[0] == "Steps:   30, 0.1 epochs"
    assert samples == "Samples: runs/mnist/samples/step-0000030.png"
    assert (folder / "runs/mnist/samples/step-0000030.png").is_file()
    assert logs.startswith("Logs:    runs/mnist/tensorboard ")
    assert model.startswith("Model:   saved_models/mnist/1 ")
    assert model.endswith("Next: python -m keras_gan.sample --model=saved_models/mnist")
    assert (folder / "saved_models/mnist/1/saved_model.pb").is_file()
    assert "Preprocessed 70,000 images" in done.stderr


def test_the_same_command_goes_on_and_reuses_the_data(trained):
    folder, arguments, _ = trained
    longer = [argument.replace("--steps=30", "--steps=40") for argument in arguments]
    done = run_module("keras_gan.train", *longer, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "Resuming runs/mnist at step 30 of 40" in done.stderr
    assert "Preprocessed" not in done.stderr
    assert "is finished already: nothing to preprocess" in done.stderr
    assert "saved_models/mnist/2" in done.stdout


def test_the_list_of_runs_has_it(trained):
    folder, arguments, _ = trained
    done = run_module("keras_gan.runs", cwd=folder)
    assert done.returncode == 0, done.stderr
    titles, run, grid = done.stdout.splitlines()
    assert titles.startswith("run ")
    assert run.split()[:5] == ["mnist", "mnist", "40", "of", "40"]
    assert run.split()[-1] == "finished"
    assert (folder / grid.strip()).is_file()
    told = json.loads(run_module("keras_gan.runs", "--json", cwd=folder).stdout)
    assert set(arguments[:2]) < set(shlex.split(told[0]["command"]))


def test_sample_draws_the_same_images_for_a_seed(trained):
    folder, _, _ = trained
    arrays = []
    for seed in (0, 0, 1):
        done = run_module(
            "keras_gan.sample", "--model=saved_models/mnist", "--n=5", f"--seed={seed}",
            "--out=samples.npz", cwd=folder,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        arrays.append(np.load(folder / "samples.npz")["images"])
    assert arrays[0].shape == (5, 28, 28, 1)
    assert arrays[0].dtype == np.uint8
    np.testing.assert_array_equal(arrays[0], arrays[1])
    assert not np.array_equal(arrays[0], arrays[2])


def test_sample_draws_a_grid_from_a_work_directory(trained):
    folder, _, _ = trained
    done = run_fresh("keras_gan.sample", "--workdir=runs/mnist", "--out=grid.png", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert Image.open(folder / "grid.png").size == (8 * 29 - 1, 8 * 29 - 1)


def test_evaluate_prints_the_paper_beside_the_result(trained):
    folder, _, _ = trained
    done = run_fresh(
        "keras_gan.evaluate", "--workdir=runs/mnist", "--n=200", "--live", "--out=result.json",
        "--noruler", cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Adversarial nets (Goodfellow et al. 2014)" in done.stdout
    rows = json.loads((folder / "result.json").read_text())
    assert list(rows) == ["generator", "generator, live weights", "training images"]
    assert rows["generator"]["fine_sigma"] != rows["generator"]["sigma"]
    assert len(list((folder / "runs/mnist/tensorboard").glob("events*"))) > 1


def test_evaluate_finds_the_data_that_an_export_was_trained_on(trained):
    folder, _, _ = trained
    arguments = ["--model=saved_models/mnist", "--n=50", "--noruler"]
    done = run_module("keras_gan.evaluate", *arguments, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "training images" in done.stdout
    done = run_module("keras_gan.evaluate", *arguments, "--examples_root=none", cwd=folder)
    assert done.returncode == 2
    assert "Try --examples=FOLDER" in done.stderr


def test_another_recipe_in_the_work_directory_exits_with_2(trained):
    folder, arguments, _ = trained
    done = run_module("keras_gan.train", *arguments, "--seed=3", "--workdir=runs/mnist", cwd=folder)
    assert done.returncode == 2
    assert "seed was 0, now 3" in done.stderr


def test_a_folder_that_is_no_export_exits_with_2(trained):
    folder, _, _ = trained
    done = run_module("keras_gan.sample", "--model=runs", cwd=folder)
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].startswith("error: Expected an export")
    assert not (folder / "samples.png").exists()


def test_the_readmes_own_code_runs(tmp_path, mnist_examples, monkeypatch):
    text = (ROOT / "README.md").read_text()
    code = text.split("```python\n")[1].split("```")[0]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mnist").symlink_to(mnist_examples)
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(code.replace("steps_per_epoch=500", "steps_per_epoch=5"), names)
    assert names["images"].shape == (64, 28, 28, 1)
    assert (tmp_path / "gan.keras").is_file()


def test_cifar10_is_the_same_command(tmp_path, cifar10_prepared, cifar10_examples):
    (tmp_path / "data").symlink_to(cifar10_examples.parent)  # preprocessed once for all tests
    done = run_module(
        "keras_gan.train", "--dataset=cifar10", f"--data_dir={cifar10_prepared}", "--steps=4",
        "--set=network.filters=4", "--set=batch_size=8", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    done = run_module("keras_gan.sample", "--model=saved_models/cifar10", "--n=4", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert Image.open(tmp_path / "samples.png").mode == "RGB"


def test_own_images_in_three_commands(real_faces, tmp_path):
    """docs/your_own_images.md, at a small size, on real photographs."""
    (tmp_path / "faces").symlink_to(real_faces)
    done = run_fresh(
        "pipelines.preprocess", "--images=faces", "--size=16", "--out=data/faces", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == (
        "Next:    python -m keras_gan.train --examples=data/faces"
    )
    small = ["--steps=4", "--set=batch_size=16", "--set=network.filters=4", "--set=log_every=2"]
    done = run_module("keras_gan.train", "--examples=data/faces", *small, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Model:   saved_models/faces/1" in done.stdout
    done = run_fresh("keras_gan.sample", "--model=saved_models/faces", "--n=4", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert Image.open(tmp_path / "samples.png").size == (2 * 17 - 1, 2 * 17 - 1)
    # The short way makes the same data and run, under names of their own.
    short = ["--images=faces", "--set=image_size=16", *small]
    done = run_module("keras_gan.train", *short, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Preprocessed 400 images" in done.stderr
    hashes = {
        json.loads(path.read_text())["data_hash"]
        for path in (tmp_path / "data").glob("*/dataset_info.json")
    }
    assert len(hashes) == 1
    assert len(list((tmp_path / "data").iterdir())) == 2
