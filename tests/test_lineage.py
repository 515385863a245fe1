"""From which images, code and command a pushed model came."""

import json
import shutil

import pytest

from keras_gan import card, cli, records
from keras_gan.interfaces import UserError
from pipelines import hashes, lineage, metadata
from tests.chain import STEPS, arguments, execute, write_images
from tests.commands import run_module


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lineage")
    write_images(folder / "images.npz")
    assert execute(*arguments(folder)) == 0
    return folder


@pytest.fixture
def moved(chain, tmp_path):
    shutil.copytree(chain, tmp_path / "moved")
    return tmp_path / "moved"


def show(model, *flags, capsys):
    code = cli.run(
        lineage.main, lineage.FLAGS, "",
        ["lineage", str(model), *flags], pass_on=True,
    )  # fmt: skip
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_command_prints_images_code_command_and_steps(chain):
    done = run_module("pipelines.lineage", str(chain / "pushed"), cwd=hashes.PROJECT)
    assert done.returncode == 0, done.stderr
    text = done.stdout
    (examples,) = (chain / "root").glob("ExampleGen/examples/*")
    info = records.DatasetInfo.read(examples)
    for part in (
        "images: train 200, validation 60, test 40; 8x8x1",
        f"images.npz sha256 {records.file_sha256(chain / 'images.npz')}",
        f"Data       sha256 {info.data_hash}",
        "300 read, 0 duplicates and 0 rejected left out",
        f"Command    python -m pipelines.run --arrays={chain / 'images.npz'}",
        "mnist_images",
        f"Code       sha256 {hashes.of_code('pipelines.components.trainer')[0]}",
        "tensorflow 2.",
        "log_likelihood, nats, validation images: ",
        f"Store      {chain / 'root' / metadata.FILE} agrees",
    ):
        assert part in text, part
    steps = [line for line in text.splitlines() if " UTC " in line and " s  " in line]
    assert [line.removeprefix("Step").split()[1] for line in steps] == list(STEPS[:7])


def test_the_card_alone_tells_it_all(moved, capsys):
    (moved / "root" / metadata.FILE).unlink()
    code, out, _ = show(moved / "pushed" / "1", "--json", capsys=capsys)
    assert code == 0
    told = json.loads(out)
    assert told["found"].startswith("is not there any more: moved (--root=FOLDER) or deleted")
    assert [step["component"] for step in told["steps"]] == list(STEPS[:7])
    made = {step["component"]: step for step in told["steps"]}
    model = made["Trainer"]["outputs"]["model"]["hash"]
    assert made["Evaluator"]["inputs"]["model"]["hash"] == model
    assert made["InfraValidator"]["inputs"]["model"]["hash"] == model
    assert "UTC" in show(moved / "pushed", capsys=capsys)[1]


def test_the_store_is_found_when_all_moved_and_where_it_is_said_to_be(moved, capsys):
    assert "agrees" in show(moved / "pushed", capsys=capsys)[1]
    (moved / "root").rename(moved / "elsewhere")
    assert "is not there any more" in show(moved / "pushed", capsys=capsys)[1]
    found = show(moved / "pushed", f"--root={moved / 'elsewhere'}", capsys=capsys)[1]
    assert f"{moved / 'elsewhere' / metadata.FILE} agrees" in found


def test_another_store_and_one_that_is_none_are_told(moved, capsys):
    (moved / "root" / metadata.FILE).unlink()
    metadata.Store(moved / "root").close()
    assert "is another one: of ExampleGen 1 it" in show(moved / "pushed", capsys=capsys)[1]
    (moved / "root" / metadata.FILE).write_text("thesis" * 1000)
    assert "is not readable" in show(moved / "pushed", capsys=capsys)[1]


def test_a_changed_model_is_refused(moved, capsys):
    path = next((moved / "pushed" / "1" / "variables").glob("*.data*"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    code, out, err = show(moved / "pushed", capsys=capsys)
    assert (code, out) == (2, "")
    assert path.name in err


def test_a_model_that_the_chain_did_not_push_is_refused(chain, tmp_path):
    (model,) = (chain / "root").glob("Trainer/model/*/Format-Serving")
    with pytest.raises(UserError, match=r"Expected a model that python -m pipelines.run pushed"):
        lineage.read(str(model))
    with pytest.raises(UserError, match="Expected an export"):
        lineage.read(str(tmp_path))


def test_no_store_is_made_by_looking(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        metadata.Store(tmp_path, readonly=True)
    assert not list(tmp_path.iterdir())


def test_the_card_and_the_model_are_what_was_judged(chain):
    (model,) = (chain / "root").glob("Trainer/model/*/Format-Serving")
    pushed = chain / "pushed" / "1"
    assert hashes.of_model(pushed) == hashes.of_model(model)
    (told,) = (chain / "root").glob("Evaluator/evaluation/*/metrics.json")
    row = json.loads(told.read_text())["model"]
    metrics = card.read(pushed)["metrics"]
    found = metrics["log_likelihood, nats, validation images"]
    assert (found["mean"], found["stderr"]) == (row["log_likelihood"], row["stderr"])
    assert row["images"] == 30  # half of the validation images; the others choose sigma
