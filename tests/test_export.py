"""What an export answers, refuses and holds; its card; and what of it is never run."""

import concurrent.futures
import hashlib
import io
import json
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from keras_gan import (
    card,
    cli,
    evaluate,
    experiment,
    export,
    export_model,
    exported,
    images,
    loader,
    signatures,
    verify_model,
)
from keras_gan.interfaces import MAX_ROWS, Stopped, UserError, image_seeds
from keras_gan.servable import Servable, ServingError, read_signatures
from tests.conformance.cases import CASES
from tests.conftest import ROOT
from tests.test_gan import toy_gan

SIGNATURES = {
    "serving_default", "sample", "sample_truncated", "sample_png", "noise", "discriminate",
}  # fmt: skip


@pytest.fixture(scope="module")
def gan():
    gan = toy_gan(ema_decay=0.9)
    for step in range(3):
        gan.train_step(tf.random.stateless_uniform((4, 2, 2, 1), (step, 0)))
    return gan


@pytest.fixture(scope="module")
def model(gan, tmp_path_factory):
    return export.export(gan, tmp_path_factory.mktemp("models") / "toy", card={"name": "toy"})


@pytest.fixture(scope="module")
def servable(model):
    servable = Servable(model)
    yield servable
    servable.close()


def test_the_cpp_loader_gives_the_live_models_images_whatever_the_batch(gan, servable):
    seeds = image_seeds(5, seed=9)
    assert seeds.tolist() == [9 * 2**32 + i for i in range(5)]
    live = gan.sample(5, seed=9)
    answer = servable.run("sample", {"seed": seeds})["images"]
    assert answer.dtype == np.float32
    np.testing.assert_allclose(answer, live, atol=1e-6)
    mixed = np.array([seeds[3], -1, seeds[0], 2**62, seeds[3]])
    found = servable.run("sample", {"seed": mixed})["images"]
    np.testing.assert_allclose(found[[0, 2, 4]], live[[3, 0, 3]], atol=1e-6)
    assert not np.allclose(live, gan.live().sample(5, seed=9), atol=1e-4)  # the average's


def test_every_signature_is_what_the_live_model_says(gan, servable):
    assert set(servable.signatures) == SIGNATURES
    seeds, shares = image_seeds(4, seed=2), np.array([0.1, 0.5, 0.9, 1.0], np.float32)
    z = servable.run("noise", {"seed": seeds, "truncation": np.ones(4, np.float32)})["latent"]
    np.testing.assert_allclose(z, gan.noise(4, seed=2), atol=1e-6)
    live = gan.sample(4, seed=2)
    np.testing.assert_allclose(
        servable.run("serving_default", {"latent": z})["images"], live, atol=1e-6
    )
    truncated = servable.run("sample_truncated", {"seed": seeds, "truncation": shares})["images"]
    for i, share in enumerate(shares.tolist()):
        expected = gan.sample(4, seed=2, truncation=share)[i]
        np.testing.assert_allclose(truncated[i], expected, atol=1e-6)
    assert not np.allclose(truncated[0], live[0], atol=1e-4)
    pngs = servable.run("sample_png", {"seed": seeds})["png_bytes"]
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(text))) for text in pngs])
    np.testing.assert_array_equal(pixels, images.to_uint8(live)[..., 0])
    judged = servable.run("discriminate", {"images": live})
    np.testing.assert_allclose(judged["logits"], gan.discriminate(live), atol=1e-5)
    np.testing.assert_allclose(
        judged["probability"], 1 / (1 + np.exp(-judged["logits"].astype(float))), atol=1e-6
    )


def test_no_rows_are_no_images(servable):
    assert servable.run("sample", {"seed": np.zeros(0, np.int64)})["images"].shape == (0, 2, 2, 1)
    assert servable.run("sample_png", {"seed": np.zeros(0, np.int64)})["png_bytes"].shape == (0,)


SEED = np.zeros(1, np.int64)
REFUSED = {
    "too many": ("sample", {"seed": np.zeros(MAX_ROWS + 1, np.int64)}, "at most 1024 rows"),
    "too many z": (
        "serving_default",
        {"latent": np.zeros((MAX_ROWS + 1, 3), np.float32)},
        "at most 1024 rows",
    ),
    "NaN": (
        "serving_default", {"latent": np.full((2, 3), np.nan, np.float32)}, "finite latent",
    ),
    "infinity": (
        "serving_default", {"latent": np.full((1, 3), np.inf, np.float32)}, "finite latent",
    ),
    "rank": (
        "serving_default",
        {"latent": np.zeros(3, np.float32)},
        r"latent.* \[3\] is not compatible with expected shape \[\?,3\]",
    ),
    "width": (
        "serving_default",
        {"latent": np.zeros((1, 4), np.float32)},
        r"latent.* \[1,4\] is not compatible with expected shape \[\?,3\]",
    ),
    "columns": (
        "sample",
        {"seed": np.zeros((2, 1), np.int64)},
        r"seed.* \[2,1\] is not compatible with expected shape \[\?\]",
    ),
    "a number": ("sample_png", {"seed": np.zeros((), np.int64)}, r"seed.* \[\] is not compatible"),
    "grey levels without a channel": (
        "discriminate",
        {"images": np.zeros((1, 2, 2), np.float32)},
        r"images.* \[1,2,2\] is not compatible with expected shape \[\?,2,2,1\]",
    ),
    "type": ("sample", {"seed": np.zeros(1, np.int32)}, "Expected seed of int64; received int32"),
    "truncation 0": (
        "sample_truncated",
        {"seed": SEED, "truncation": np.zeros(1, np.float32)},
        r"Expected truncation in \(0, 1\]",
    ),
    "truncation NaN": (
        "sample_truncated",
        {"seed": SEED, "truncation": np.full(1, np.nan, np.float32)},
        r"Expected truncation in \(0, 1\]",
    ),
    "bright": (
        "discriminate", {"images": np.full((1, 2, 2, 1), 255, np.float32)}, r"images in \[0, 1\]",
    ),
    "NaN images": (
        "discriminate", {"images": np.full((1, 2, 2, 1), np.nan, np.float32)}, r"in \[0, 1\]",
    ),
    "more truncations": (
        "noise",
        {"seed": SEED, "truncation": np.ones(5000, np.float32)},
        r"as many of each input; received.*1 5000",
    ),
    "fewer truncations": (
        "sample_truncated",
        {"seed": np.zeros(5, np.int64), "truncation": np.ones(1, np.float32)},
        r"as many of each input; received.*5 1",
    ),
    "one large truncation": (
        "noise",
        {"seed": np.zeros(5, np.int64), "truncation": np.array([1, 1, 1, 1, 9], np.float32)},
        r"received a range of.*1 9",
    ),
    "name": ("sample", {"seeds": SEED}, r"Expected inputs \['seed'\] for sample"),
    "more": ("sample", {"seed": SEED, "label": SEED}, r"received \['label', 'seed'\]"),
    "signature": ("classify", {"seed": SEED}, "'classify' not found in signature def"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_out_of_range_is_refused_with_a_sentence_and_life_goes_on(case, servable):
    signature, inputs, sentence = REFUSED[case]
    with pytest.raises(ServingError, match=sentence) as error:
        servable.run(signature, inputs)
    assert error.value.code == 3  # INVALID_ARGUMENT
    assert servable.run("sample", {"seed": SEED})["images"].shape == (1, 2, 2, 1)


FLOATS = st.floats(width=32, allow_nan=True, allow_infinity=True)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.sampled_from(sorted(SIGNATURES)),
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=5),
    st.lists(st.integers(0, 3), max_size=4),
    FLOATS,
)
def test_any_request_is_answered_or_refused(servable, signature, seeds, shape, value):
    inputs = {}
    for name in servable.signatures[signature].inputs:
        if name == "seed":
            inputs[name] = np.array(seeds, np.int64)
        else:
            inputs[name] = np.full(shape, value, np.float32)
    try:
        answer = servable.run(signature, inputs)
    except ServingError as error:
        refusal = error.code
        answer = {}
    else:
        refusal = None
    assert refusal in (None, 3)
    for array in answer.values():
        assert array.dtype == object or np.isfinite(array).all()
        if "images" in answer:
            assert 0 <= array.min(initial=0) <= array.max(initial=1) <= 1


def test_every_input_and_output_has_a_name_and_a_batch_of_any_size(model):
    for takes, gives in read_signatures(model).values():
        for info in (*takes.values(), *gives.values()):
            sizes = [dim.size for dim in info.tensor_shape.dim]
            assert sizes[0] == -1
            assert all(size > 0 for size in sizes[1:])
            assert not info.tensor_shape.unknown_rank


def test_saved_model_cli_reads_and_runs_every_signature(gan, model, tmp_path):
    for signature in signatures.build(gan).values():
        for key, array in signature.requests[0].items():
            np.save(tmp_path / f"{key}.npy", array)
    # One process for all: it takes seconds to start.
    program = """
import sys
from absl import flags
from tensorflow.python.tools import saved_model_cli
model, folder, *signatures = sys.argv[1:]
where = ["x", f"--dir={model}", "--tag_set=serve"]
flags.FLAGS(where)
saved_model_cli.show()
for text in signatures:
    name, *inputs = text.split(",")
    files = ";".join(f"{key}={folder}/{key}.npy" for key in inputs)
    flags.FLAGS.unparse_flags()
    more = [f"--signature_def={name}", f"--inputs={files}", f"--outdir={folder}/{name}"]
    flags.FLAGS([*where, *more])
    saved_model_cli.run()
"""
    found = read_signatures(model)
    asked = [",".join([name, *signature.inputs]) for name, signature in found.items()]
    done = subprocess.run(
        [sys.executable, "-c", program, model, tmp_path, *asked], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for name, signature in found.items():
        assert f'"{name}"' in done.stdout
        assert {path.stem for path in (tmp_path / name).iterdir()} == set(signature.outputs)
    drawn = np.load(tmp_path / "sample" / "images.npy")
    np.testing.assert_allclose(drawn, gan.sample(1, seed=0), atol=1e-6)


# What is in a version's folder --------------------------------------------------------------------


def test_the_loader_replays_the_warm_up_without_keras_or_tensorflows_python(model):
    program = (
        "import sys; from keras_gan import loader; code = loader.run();"
        "print([m for m in sys.modules if m.split('.')[0] in ('tensorflow', 'keras')]);"
        "sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(model)], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    *lines, modules = done.stdout.strip().splitlines()
    assert modules == "[]"
    assert [line.split()[0] for line in lines] == [
        name for name in signatures.build(toy_gan()) for _ in signatures.WARM_UP_ROWS
    ]
    assert done.stderr == ""


def test_warm_up_requests_are_those_that_tensorflow_serving_reads(model):
    from tensorflow_serving.apis import prediction_log_pb2

    seen = set()
    for record in tf.data.TFRecordDataset(str(model / card.WARM_UP)):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        assert log.WhichOneof("log_type") == "predict_log"
        assert log.predict_log.request.model_spec.name == "toy"
        seen.add(log.predict_log.request.model_spec.signature_name)
    assert seen == SIGNATURES


def test_a_warm_up_file_cut_short_or_changed_is_noticed(model, tmp_path, capsys):
    copy = shutil.copytree(model, tmp_path / "1")
    whole = (copy / card.WARM_UP).read_bytes()
    for changed in (whole[:-5], whole[:50] + b"x" + whole[51:], b"abc"):
        (copy / card.WARM_UP).write_bytes(changed)
        assert loader.cli.run(loader.main, loader.FLAGS, "", ["l", str(copy)], pass_on=True) == 2
        assert "cut short or has changed" in capsys.readouterr().err
    (copy / card.WARM_UP).unlink()
    with pytest.raises(UserError, match="Expected warm-up requests"):
        list(loader.replay(copy))


def test_a_signature_without_warm_up_is_noticed(model, tmp_path):
    copy = shutil.copytree(model, tmp_path / "1")
    (copy / card.WARM_UP).write_bytes(b"")
    with pytest.raises(UserError, match="requests for every signature"):
        list(loader.replay(copy))


def test_the_card_says_what_it_is_and_its_page_too(model):
    facts = card.verify(model)
    assert facts["name"] == "toy"
    assert facts["image_shape"] == [2, 2, 1]
    assert (facts["latent"], facts["max_rows"], facts["weights"]) == (3, 1024, "moving average")
    assert facts["signatures"]["sample"] == ["seed int64 [N]", "images float32 [N, 2, 2, 1]"]
    assert set(facts["files"]) == {
        "saved_model.pb", "fingerprint.pb", "variables/variables.index",
        "variables/variables.data-00000-of-00001", "assets.extra/README.md",
        "assets.extra/samples.png", "assets.extra/tf_serving_warmup_requests",
    }  # fmt: skip
    page = (model / card.README).read_text()
    assert page.startswith("# toy\n")
    assert "| `discriminate` | images float32 [N, 2, 2, 1] | logits float32 [N]" in page


def test_one_changed_byte_anywhere_is_noticed(model, tmp_path):
    names = [*card.read(model)["files"], str(card.CARD)]
    for name in names:
        copy = shutil.copytree(model, tmp_path / name.replace("/", "-"))
        content = bytearray((copy / name).read_bytes())
        content[len(content) // 2] ^= 1
        (copy / name).write_bytes(content)
        with pytest.raises(UserError, match=r"as it was exported|with its card"):
            card.verify(copy)


def test_missing_and_added_files_and_blanks_in_the_card_are_noticed(model, tmp_path):
    copy = shutil.copytree(model, tmp_path / "1")
    (copy / card.GRID).unlink()
    with pytest.raises(UserError, match=r"Expected .*samples.png; received no such file"):
        card.verify(copy)
    copy = shutil.copytree(model, tmp_path / "2")
    (copy / "variables" / "more").write_text("x")
    with pytest.raises(UserError, match="received variables/more"):
        card.verify(copy)
    copy = shutil.copytree(model, tmp_path / "3")
    with (copy / card.CARD).open("a") as file:
        file.write(" ")
    with pytest.raises(UserError, match="as it was exported"):
        card.verify(copy)


def verify(path):
    return cli.run(verify_model.main, verify_model.FLAGS, "", ["v", str(path)], pass_on=True)


def test_verify_model_takes_a_version_or_the_newest(model, tmp_path, capsys):
    copy = shutil.copytree(model, tmp_path / "toy" / "12")
    assert verify(tmp_path / "toy") == 0
    assert f"{copy}: 7 files are whole, card " in capsys.readouterr().out
    (copy / "saved_model.pb").write_bytes(b"")
    assert verify(copy) == 2
    assert "do not serve this" in capsys.readouterr().err
    assert verify(tmp_path) == 2
    assert "Expected an export" in capsys.readouterr().err


# Trust --------------------------------------------------------------------------------------------


class Writer(tf.Module):
    def __init__(self, path):
        super().__init__()
        self.path = path

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.int64, name="seed")])
    def sample(self, seed):
        tf.io.write_file(self.path, "it ran")
        return {"images": tf.zeros((tf.size(seed), 2, 2, 1))}


def test_a_graph_that_writes_files_is_refused_and_not_run(tmp_path):
    module = Writer(str(tmp_path / "written"))
    tf.saved_model.save(module, str(tmp_path / "1"), {"sample": module.sample})
    for load in (Servable, exported.load_sampler, lambda path: list(loader.replay(path))):
        with pytest.raises(UserError, match=r"only computes; received .* with WriteFile"):
            load(tmp_path / "1")
    assert not (tmp_path / "written").exists()


def changed(model, tmp_path, change):
    """Copy an export with another graph."""
    from tensorflow.core.protobuf import saved_model_pb2

    copy = shutil.copytree(model, tmp_path / "changed")
    found = saved_model_pb2.SavedModel.FromString((copy / "saved_model.pb").read_bytes())
    change(found.meta_graphs[0])
    (copy / "saved_model.pb").write_bytes(found.SerializeToString())
    return copy


def save_at_start(meta):
    tensor = meta.saver_def.save_tensor_name.partition(":")[0]
    meta.collection_def["saved_model_main_op"].node_list.value[0] = tensor


def save_when_asked(meta):
    sample = meta.signature_def["sample"].outputs["images"]
    sample.name = meta.saver_def.save_tensor_name


def write_in_a_branch(meta):
    node = meta.graph_def.library.function[0].node_def.add(name="more", op="WriteFile")
    node.attr["x"].s = b"y"


def write_beside(meta):
    meta.graph_def.node.add(name="more", op="WriteFile")
    output = meta.signature_def["noise"].outputs["latent"].name.partition(":")[0]
    next(node for node in meta.graph_def.node if node.name == output).input.append("^more")


def start_otherwise(meta):
    meta.collection_def["legacy_init_op"].node_list.value.append("NoOp")


def initialize_an_object(meta):
    meta.object_graph_def.nodes[0].children.add(local_name="_initialize")


def write_by_an_object_alone(meta):
    """Tell servers one function and Python, which looks at the objects, another."""
    for node in meta.object_graph_def.nodes:
        if node.HasField("function"):
            node.function.concrete_functions[:] = ["written"]
    written = meta.graph_def.library.function.add()
    written.signature.name = "written"
    written.node_def.add(name="more", op="WriteFile")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (write_by_an_object_alone, "WriteFile"),
        (save_at_start, "SaveV2"),
        (save_when_asked, "SaveV2"),
        (write_in_a_branch, "WriteFile"),
        (write_beside, "WriteFile"),
        (start_otherwise, "the collection legacy_init_op"),
        (initialize_an_object, "an object's _initialize"),
    ],
)
def test_a_graph_that_does_more_than_compute_is_refused(change, named, model, tmp_path):
    copy = changed(model, tmp_path, change)
    for load in (Servable, exported.load_sampler):
        with pytest.raises(UserError, match=f"only computes; received .* with .*{named}"):
            load(copy)


@pytest.mark.parametrize("name", ["nothere:0", "nothere", "sample_seed:7", "", "^NoOp"])
def test_a_signature_of_another_graph_is_refused(name, model, tmp_path):
    def change(meta):
        meta.signature_def["sample"].outputs["images"].name = name

    with pytest.raises(UserError, match="signatures are of its graph"):
        Servable(changed(model, tmp_path, change))


def test_what_is_no_export_is_refused_with_a_sentence(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"\xff" * 100)
    with pytest.raises(UserError, match="to be a SavedModel"):
        Servable(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(UserError, match="without a graph"):
        Servable(tmp_path)
    with pytest.raises(UserError, match=r"with saved_model\.pb in it"):
        Servable(tmp_path / "nothing")


def test_a_half_copied_version_does_not_load(model, tmp_path):
    copy = shutil.copytree(model, tmp_path / "1")
    (copy / "variables" / "variables.data-00000-of-00001").unlink()
    with pytest.raises(UserError, match="Expected an export that loads"):
        Servable(copy)


def test_a_keras_file_with_code_in_it_is_not_run(tmp_path):
    import keras

    def touch(z):
        (tmp_path / "ran").write_text("x")
        return z

    model = keras.Sequential([keras.Input((3,)), keras.layers.Lambda(touch)])
    model.save(tmp_path / "model.keras")
    (tmp_path / "ran").unlink(missing_ok=True)
    with pytest.raises(Exception, match=r"[Ll]ambda"):
        keras.models.load_model(tmp_path / "model.keras")
    assert not (tmp_path / "ran").exists()


def test_nothing_unpickles_or_unpacks():
    for path in (*ROOT.glob("keras_gan/**/*.py"), *ROOT.glob("pipelines/**/*.py")):
        text = path.read_text()
        for word in ("pickle.load", "allow_pickle=True", "extractall", "safe_mode=False", "eval("):
            assert word not in text.replace("literal_eval(", ""), f"{word} in {path}"


# Written whole or not at all ----------------------------------------------------------------------


@pytest.mark.whole_export
def test_an_export_that_differs_from_the_live_model_never_appears(gan, tmp_path, monkeypatch):
    real = signatures.build

    def wrong(*arguments):
        made = real(*arguments)
        takes, function, requests = made["sample"]

        def brighter(seed):  # the graph was made of another function than is compared
            found = function(seed)["images"]
            return {"images": found + (0.0 if tf.executing_eagerly() else 1e-3)}

        return made | {"sample": signatures.Signature(takes, brighter, requests)}

    monkeypatch.setattr(export.signatures, "build", wrong)
    with pytest.raises(Stopped, match=r"its images differ by 0\.00"):
        export.export(gan, tmp_path / "m")
    assert list((tmp_path / "m").iterdir()) == []


@pytest.mark.whole_export
def test_whole_exports_of_a_run_follow_each_other_and_pushes_too(gan, tmp_path):
    first = export.export(gan, tmp_path / "m", card={"metrics": {"a": 1.0}})
    assert export.export(gan, tmp_path / "m").name == "2"
    with pytest.raises(UserError, match=r"m/2, which exists. Versions are never written over"):
        export.export(gan, tmp_path / "m", version=2)
    pushed = export.push(
        first, tmp_path / "served", card={"metrics": {"b": {"mean": 2.0, "stderr": 0.5}}}
    )
    assert pushed == tmp_path / "served" / "1"
    facts = card.verify(pushed)
    assert facts["metrics"] == {"b": {"mean": 2.0, "stderr": 0.5}}
    assert "- b: 2.00 +- 0.50" in (pushed / card.README).read_text()
    card.verify(first)
    (first / "saved_model.pb").write_bytes(b"x")
    with pytest.raises(UserError, match="as it was exported"):
        export.push(first, tmp_path / "served")
    assert card.versions(tmp_path / "served") == [1]


@pytest.mark.parametrize("moment", ["_compare", "write_card"])
def test_an_export_killed_at_any_moment_leaves_nothing_that_a_server_sees(moment, tmp_path):
    program = f"""
import os, signal, sys
from keras_gan import card, export
from tests.test_gan import toy_gan
def die(*arguments, **more):
    os.kill(os.getpid(), signal.SIGKILL)
if {moment!r} == "write_card":
    card.write = die
else:
    setattr(export, {moment!r}, die)
export.export(toy_gan(), sys.argv[1])
"""
    folder = tmp_path / "m"
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert card.versions(folder) == []
    assert all(path.name.startswith(".1.") for path in folder.iterdir())
    if moment == "write_card":  # what the dead left is cleared away by the living
        assert export.export(toy_gan(), folder) == folder / "1"
        assert [path.name for path in folder.iterdir()] == ["1"]


def test_pushes_at_the_same_time_all_arrive(model, tmp_path):
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        jobs = [pool.submit(export.push, model, tmp_path / "served") for _ in range(6)]
        places = [job.result() for job in jobs]
    assert sorted(int(place.name) for place in places) == [1, 2, 3, 4, 5, 6]
    for place in places:
        card.verify(place)


def test_versions_are_plain_numbers_that_grow(model, tmp_path):
    served = tmp_path / "served"
    assert export.push(model, served, version=5).name == "5"
    (served / "2024").write_text("a file")
    (served / "007").mkdir()
    assert card.versions(served) == [5]
    assert card.find(served) == served / "5"
    for version, sentence in ((5, "which exists"), (3, "above the newest, 5"), (-1, "above the")):
        with pytest.raises(UserError, match=sentence):
            export.push(model, served, version=version)
    (served / "6").symlink_to(tmp_path / "outside")
    with pytest.raises(UserError, match="which exists"):
        export.push(model, served, version=6)
    assert not (tmp_path / "outside").exists()
    (served / "9").mkdir()  # nothing in it yet
    assert card.find(served) == served / "5"


def test_a_model_of_a_folder_that_may_not_be_written_is_pushed(model, tmp_path):
    copy = shutil.copytree(model, tmp_path / "1")
    for path in (copy, *copy.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    pushed = export.push(copy, tmp_path / "served", card={"name": "other"})
    assert card.verify(pushed)["name"] == "other"
    assert all(path.stat().st_mode & 0o200 for path in pushed.rglob("*"))
    for path in (copy, *copy.rglob("*")):
        path.chmod(0o777)


def test_links_in_an_export_are_noticed(model, tmp_path):
    copy = shutil.copytree(model, tmp_path / "1")
    (copy / "variables" / "more").symlink_to("/")
    with pytest.raises(UserError, match=r"received a link, .*variables/more"):
        card.verify(copy)


@pytest.mark.parametrize("files", [None, [], {"saved_model.pb": 3}])
def test_a_card_without_its_list_is_noticed(files, model, tmp_path):
    copy = shutil.copytree(model, tmp_path / "1")
    facts = {k: v for k, v in card.read(copy).items() if k not in ("sha256", "files")}
    if files is not None:
        facts["files"] = files
    facts["sha256"] = hashlib.sha256(card._text(facts).encode()).hexdigest()
    (copy / card.CARD).write_text(card._text(facts))
    with pytest.raises(UserError, match="to list the files"):
        card.verify(copy)


def test_an_export_of_an_earlier_format_is_a_sentence(model, tmp_path):
    copy = shutil.copytree(model, tmp_path / "1")
    card.write(copy, {**card.read(copy), "format": 1})
    with pytest.raises(UserError, match="this version's format, 2"):
        exported.load_sampler(copy)


def test_closing_or_dropping_a_servable_frees_its_session(model, monkeypatch):
    freed = []
    monkeypatch.setattr("keras_gan.servable._free", lambda *arguments: freed.append(arguments))
    dropped = Servable(model)
    del dropped
    assert len(freed) == 1
    closed = Servable(model)
    closed.close()
    closed.close()
    assert len(freed) == 2


def test_a_server_that_polls_sees_whole_versions_only(gan, tmp_path, monkeypatch):
    seen = []
    real = card.write

    def look(folder, facts):
        real(folder, facts)
        seen.extend(card.versions(tmp_path / "m"))

    monkeypatch.setattr(export.cards, "write", look)
    export.export(gan, tmp_path / "m")
    assert seen == []
    assert card.versions(tmp_path / "m") == [1]


# The commands -------------------------------------------------------------------------------------


def command(module, *arguments):
    return cli.run(module.main, module.FLAGS, "", [module.__name__, *arguments])


def test_export_model_exports_any_step_with_what_was_measured(
    examples, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    experiment.train(CASES["dcgan-minimax"], tmp_path / "run", examples, tmp_path / "trained")
    assert command(export_model, "--workdir=run") == 0
    said = capsys.readouterr()
    assert said.out.startswith("Model:   saved_models/run/1    Card: ")
    assert command(evaluate, "--workdir=run", "--n=100", "--noruler") == 0
    assert command(export_model, "--workdir=run", "--version=7") == 0
    facts = card.verify(tmp_path / "saved_models" / "run" / "7")
    found = facts["metrics"]["Parzen log-likelihood, nats"]
    kept = json.loads((tmp_path / "run" / "evaluation.json").read_text())["row"]
    assert (found["mean"], found["stderr"]) == (kept["log_likelihood"], kept["stderr"])
    assert facts["step"] == 6
    assert facts["data"]["licence"] == "yours to know: your own images"
    assert command(export_model, "--workdir=run", "--checkpoint=4", "--export_dir=o") == 0
    old = card.read(tmp_path / "o" / "1")
    assert old["step"] == 4
    assert "Parzen log-likelihood, nats" not in old["metrics"]  # that was of another step
    assert command(export_model, "--workdir=run", "--version=7") == 2
    assert "which exists" in capsys.readouterr().err


def test_licences_of_known_data():
    from keras_gan.records import DatasetInfo

    def facts(dataset, kind):
        info = DatasetInfo(dataset, (8, 8, 1), (), {"train": 3}, (), {"kind": kind}, {}, {})
        return card.data_facts(info)["licence"]

    assert facts("mnist/3.0.1", "tensorflow_datasets").startswith("CC BY-SA 3.0")
    assert facts("other/1.0.0", "tensorflow_datasets") == "not stated"
    assert facts("mnist", "arrays") == "yours to know: your own images"
