"""The client against a server of TensorFlow Serving's protocols.

The stand-in of `tests.serving` shows that client, exports and protocols agree: a protocol test. The
same core runs against TensorFlow Serving itself where there is one: `tensorflow_model_server` on
the PATH, or TF_SERVING_URL (grpc://... or http://...) with TF_SERVING_MODEL, the model's name
there, and TF_SERVING_EXPORT, the folder of the version that it serves.
"""

import base64
import contextlib
import http.server
import io
import json
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time

import certifi
import keras
import numpy as np
import pytest
from PIL import Image

from keras_gan import (
    building,
    cli,
    client,
    encoders,
    export,
    exported,
    images,
    messages,
    sample,
    transports,
)
from keras_gan.client import SamplerClient
from keras_gan.config import Encoder
from keras_gan.interfaces import UserError
from keras_gan.transports import ServerError
from tests import test_conditional
from tests.conformance.cases import CASES
from tests.conftest import ROOT
from tests.test_gan import toy_gan

REAL = "needs TensorFlow Serving: tensorflow_model_server on the PATH, or TF_SERVING_URL"


class Served:
    """A server, and what it serves."""

    def __init__(self, urls, name, draw, folder=None, process=None):
        self.urls, self.name, self.draw = urls, name, draw
        self.folder, self.process = folder, process

    def client(self, kind="grpc", **arguments):
        return SamplerClient(self.urls[kind], self.name, **arguments)

    def go_wrong(self, **faults):
        (self.folder / "asked").unlink(missing_ok=True)
        (self.folder / "faults.json").write_text(json.dumps({**faults, "at": time.time()}))

    def asked(self):
        return (self.folder / "asked").read_text().splitlines()


@pytest.fixture(scope="module")
def generators():
    """Three that nobody confuses."""
    made = [toy_gan(seed=seed) for seed in (0, 1, 2)]
    for seed, gan in enumerate(made):
        rng = np.random.default_rng(seed)
        gan.generator.set_weights([rng.normal(0, 2, w.shape) for w in gan.generator.get_weights()])
    return made


@pytest.fixture(scope="module")
def exports(generators, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports")
    return [export.export(gan, folder / str(i)) for i, gan in enumerate(generators)]


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextlib.contextmanager
def stand_in(folder, name, *more):
    command = [sys.executable, "-m", "tests.serving.server", f"--base={folder / name}"]
    faults = f"--faults={folder / 'faults.json'}"
    process = subprocess.Popen(
        [*command, f"--name={name}", "--poll=0.05", faults, *more],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        ports = json.loads(process.stdout.readline())
        urls = {
            "grpc": f"grpc://127.0.0.1:{ports['grpc']}",
            "grpcs": f"grpcs://localhost:{ports['grpcs']}",
            "rest": f"http://127.0.0.1:{ports['rest']}",
        }
        yield urls, process
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def tensorflow_serving(folder, name):
    ports = free_port(), free_port()
    process = subprocess.Popen(
        [
            "tensorflow_model_server",
            f"--port={ports[0]}",
            f"--rest_api_port={ports[1]}",
            f"--model_name={name}",
            f"--model_base_path={folder / name}",
        ]
    )
    urls = {"grpc": f"grpc://127.0.0.1:{ports[0]}", "rest": f"http://127.0.0.1:{ports[1]}"}
    try:
        SamplerClient(urls["grpc"], name, timeout=120, tries=100).sample(1)
        yield urls, process
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    if shutil.which("openssl") is None:
        return None
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-keyout", folder / "key.pem", "-out", folder / "certificate.pem"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
        ],
        check=True,
        capture_output=True,
    )
    return folder


@pytest.fixture(scope="module")
def local(generators, exports, certificate, tmp_path_factory):
    """The stand-in, serving version 1."""
    folder = tmp_path_factory.mktemp("served")
    shutil.copytree(exports[0], folder / "toy" / "1")
    more = ['--labels={"stable": 1}']
    if certificate:
        more += [f"--key={certificate}/key.pem", f"--certificate={certificate}/certificate.pem"]
    with stand_in(folder, "toy", *more) as (urls, process):
        yield Served(urls, "toy", generators[0].sample, folder, process)


@pytest.fixture(scope="module", params=["stand-in", "tensorflow_model_server", "TF_SERVING_URL"])
def served(request, local, generators, exports, tmp_path_factory):
    if request.param == "stand-in":
        yield local
    elif request.param == "tensorflow_model_server":
        if shutil.which("tensorflow_model_server") is None:
            pytest.skip(REAL)
        folder = tmp_path_factory.mktemp("real")
        shutil.copytree(exports[0], folder / "toy" / "1")
        with tensorflow_serving(folder, "toy") as (urls, process):
            yield Served(urls, "toy", generators[0].sample, folder, process)
    else:
        if "TF_SERVING_URL" not in os.environ:
            pytest.skip(REAL)
        url = os.environ["TF_SERVING_URL"]
        draw = exported.load_sampler(os.environ["TF_SERVING_EXPORT"]).sample
        urls = dict.fromkeys(("grpc", "rest"), url)
        yield Served(urls, os.environ["TF_SERVING_MODEL"], draw)


def holes(n):
    """Make masks that all differ, [n, 8, 8, 1]."""
    return np.random.default_rng(1).integers(0, 2, (n, 8, 8, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def answering_exports(tmp_path_factory):
    """An export that completes images, and one that says z and classes of them; served."""
    folder = tmp_path_factory.mktemp("answering")
    export.export(
        building.build(CASES["inpainting"], (8, 8, 1), train_images=240), folder / "inpainting"
    )
    gan = toy_gan()
    classifier = keras.Sequential([keras.Input(gan.image_shape), keras.layers.Flatten()])
    inference = encoders.build(gan, Encoder(units=(6,), batch_size=8, steps=8))
    export.export(gan, folder / "inference", inference=inference, classifier=classifier)
    with contextlib.ExitStack() as leaving:
        names = ("inpainting", "inference")
        yield folder, {name: leaving.enter_context(stand_in(folder, name))[0] for name in names}


@pytest.fixture(autouse=True)
def healthy(local):
    local.go_wrong()


# Against any server ------------------------------------------------------------------------------


def assert_equal_images(found, live):
    """Equal, but for what rounding to 8 bits makes of a last bit."""
    expected = images.to_uint8(live)
    assert (found.shape, found.dtype) == (expected.shape, np.uint8)
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert (found != expected).mean() < 0.01


@pytest.mark.parametrize("kind", ["grpc", "rest"])
@pytest.mark.parametrize("batch_size", [3, 7, 256])
def test_samples_are_those_of_the_live_model_whatever_the_batch(served, kind, batch_size):
    with served.client(kind, batch_size=batch_size) as remote:
        assert_equal_images(remote.sample(7, seed=5), served.draw(7, seed=5))
        assert_equal_images(
            remote.sample(7, seed=2**32 - 1, truncation=0.3),
            served.draw(7, seed=2**32 - 1, truncation=0.3),
        )


def test_a_conditional_model_draws_the_classes_asked_for(tmp_path):
    gan = test_conditional.toy()
    export.export(gan, tmp_path / "classes")
    asked = [3, 0, 0, 2, 1, 3, 3]
    pictures = gan.sample(7, seed=1, labels=asked)
    with stand_in(tmp_path, "classes") as (urls, _):
        for kind, batch_size in (("grpc", 3), ("rest", 256)):
            with SamplerClient(urls[kind], "classes", batch_size=batch_size) as remote:
                live = gan.sample(7, seed=5, labels=asked)
                assert_equal_images(remote.sample(7, seed=5, labels=asked), live)
                live = gan.sample(7, seed=5, labels=asked, truncation=0.3)
                found = remote.sample(7, seed=5, labels=asked, truncation=0.3)
                assert_equal_images(found, live)
                logits = remote.discriminate(pictures, asked)
                np.testing.assert_allclose(logits, gan.discriminate(pictures, asked), atol=1e-5)
                with pytest.raises(ServerError, match=r"label in \[0, 4\)"):
                    remote.sample(2, labels=[0, 4])


@pytest.mark.parametrize(("kind", "batch_size"), [("grpc", 3), ("grpc", 256), ("rest", 3)])
def test_what_an_export_says_of_images_it_says_over_the_network(
    answering_exports, kind, batch_size
):
    folder, urls = answering_exports
    for name, methods in (
        ("inpainting", {"inpaint": (holes(7),), "discriminate": ()}),
        ("inference", {"infer": (), "reconstruct": (), "classify": (), "discriminate": ()}),
    ):
        local = exported.load_sampler(folder / name)
        pictures = np.random.default_rng(0).random((7, *local.image_shape), np.float32)
        with SamplerClient(urls[name][kind], name, batch_size=batch_size) as remote:
            for method, more in methods.items():
                seed = {"seed": 2**31} if method == "inpaint" else {}
                found = getattr(remote, method)(pictures, *more, **seed)
                expected = getattr(local, method)(pictures, *more, **seed)
                assert found.dtype == np.float32
                np.testing.assert_allclose(found, expected, atol=1e-6)
            if name == "inpainting":
                kept = np.broadcast_to(holes(7), pictures.shape) == 1
                painted = remote.inpaint(pictures, holes(7))
                np.testing.assert_array_equal(painted[kept], pictures[kept])
                assert not np.array_equal(painted, remote.inpaint(pictures, holes(7), seed=1))
            else:
                with pytest.raises(ServerError, match="inpaint"):
                    remote.inpaint(pictures, np.ones((*local.image_shape[:2], 1)))


@pytest.mark.parametrize("kind", ["grpc", "rest"])
def test_what_is_not_there_is_named(served, kind):
    with pytest.raises(ServerError, match="Expected the model 'nonsense' at ") as error:
        SamplerClient(served.urls[kind], "nonsense").sample(1)
    assert error.value.code == "NOT_FOUND"
    with pytest.raises(ServerError, match=r"Expected version 77 of the model .* NOT_FOUND"):
        served.client(kind, version=77).sample(1)
    with pytest.raises(ServerError, match="Expected the version labelled best of the model"):
        served.client(kind, label="best").sample(1)


@pytest.mark.parametrize("kind", ["grpc", "rest"])
def test_a_version_may_be_named_by_its_number(served, kind):
    number = served.client(kind).describe().version
    found = served.client(kind, version=number).sample(3, seed=1)
    np.testing.assert_array_equal(found, served.client(kind).sample(3, seed=1))


@pytest.mark.parametrize("kind", ["grpc", "rest"])
def test_bad_requests_are_refused_in_words_and_the_server_lives_on(served, kind):
    remote = served.client(kind)
    seeds = np.zeros(2000, np.int64)
    spec = messages.model_spec(served.name, signature="sample_png")
    with pytest.raises(ServerError, match="at most 1024 rows") as error:
        remote._transport.predict(spec, {"seed": seeds}, "png_bytes", 60.0)
    assert error.value.code == "INVALID_ARGUMENT"
    with pytest.raises(ServerError, match="Expected a request that") as error:
        remote.sample(3, labels=[1, 2, 3])
    assert error.value.code == "INVALID_ARGUMENT"
    with pytest.raises(
        ServerError, match=r"the signature sample\w*\(label, seed\); received versi"
    ):
        served.client(kind, batch_size=2).sample(3, labels=[1, 2, 3])
    assert len(remote.sample(2)) == 2


def test_nan_is_refused_over_grpc(served):
    remote = served.client("grpc")
    spec = messages.model_spec(served.name, signature="serving_default")
    for latent, sentence in (
        (np.full((1, 3), np.nan, np.float32), "finite latent"),
        (np.zeros(3, np.float32), "expected shape"),
    ):
        with pytest.raises(ServerError, match=sentence) as error:
            remote._transport.predict(spec, {"latent": latent}, "images", 60.0)
        assert error.value.code == "INVALID_ARGUMENT"
    assert len(remote.sample(1)) == 1


# Faults, which only the stand-in makes on purpose ------------------------------------------------


@pytest.mark.parametrize("kind", ["grpc", "rest"])
def test_unavailable_is_tried_again_with_longer_waits(local, kind, monkeypatch):
    waits = []
    monkeypatch.setattr(client.time, "sleep", waits.append)
    monkeypatch.setattr(client.random, "uniform", lambda low, high: high)
    local.go_wrong(unavailable=3)
    found = local.client(kind).sample(2, seed=1)
    assert_equal_images(found, local.draw(2, seed=1))
    assert waits == [0.2, 0.4, 0.8]
    assert len(local.asked()) == 4


@pytest.mark.parametrize("kind", ["grpc", "rest"])
def test_tries_end(local, kind, monkeypatch):
    monkeypatch.setattr(client.time, "sleep", lambda seconds: None)
    local.go_wrong(unavailable=9)
    with pytest.raises(ServerError, match=r"UNAVAILABLE: on purpose.* 3 tries were made") as error:
        local.client(kind, tries=3).sample(1)
    assert error.value.code == "UNAVAILABLE"
    assert len(local.asked()) == 3


@pytest.mark.parametrize("kind", ["grpc", "rest"])
def test_nothing_else_is_tried_again(local, kind):
    with pytest.raises(ServerError):
        local.client(kind).sample(1, labels=[0])
    assert len(local.asked()) == 1


@pytest.mark.parametrize("kind", ["grpc", "rest"])
def test_a_slow_server_is_given_up_in_time(local, kind):
    local.go_wrong(delay=3)
    start = time.monotonic()
    with pytest.raises(ServerError, match=r"an answer of \S+ within 0.5 s; .*DEADLINE_EXCEEDED"):
        local.client(kind, timeout=0.5).sample(1)
    assert time.monotonic() - start < 2.5


def test_the_server_is_told_how_long_is_left(local):
    local.go_wrong(delay=0.4)
    local.client("grpc", timeout=5, batch_size=1).sample(3)  # gRPC rounds longer ones to seconds
    left = [float(line) for line in local.asked()]
    assert len(left) == 3
    assert 4 < left[0] <= 5.1
    assert left[0] - left[1] > 0.3
    assert left[1] - left[2] > 0.3


def test_waits_never_pass_the_deadline(local):
    local.go_wrong(unavailable=99)
    start = time.monotonic()
    with pytest.raises(ServerError, match="UNAVAILABLE"):
        local.client("grpc", timeout=1.0, tries=50).sample(1)
    assert time.monotonic() - start < 1.5


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_a_dead_server_is_a_sentence(scheme):
    url = f"{scheme}://127.0.0.1:{free_port()}"
    with pytest.raises(ServerError, match=f"Expected a server at {url}; received UNAVAILABLE"):
        SamplerClient(url, "toy", tries=2).sample(1)


def test_a_server_that_comes_back_is_found_again(exports, generators, tmp_path):
    shutil.copytree(exports[0], tmp_path / "toy" / "1")
    port = free_port()
    remote = SamplerClient(f"grpc://127.0.0.1:{port}", "toy", tries=100)
    found = []
    asking = threading.Thread(target=lambda: found.append(remote.sample(2, seed=3)), daemon=True)
    asking.start()
    with stand_in(tmp_path, "toy", f"--port={port}"):
        asking.join(60)
    assert_equal_images(found[0], generators[0].sample(2, seed=3))


@contextlib.contextmanager
def answering(body, *, headers=(), status=200, certificate=None):
    """A REST server that always writes the same; `body` may be a generator and take its time."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            for header in headers:
                self.send_header(*header)
            self.end_headers()
            with contextlib.suppress(OSError):
                for piece in [body] if isinstance(body, bytes) else body():
                    self.wfile.write(piece)
                    self.wfile.flush()

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    server.daemon_threads = True
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate / "certificate.pem", certificate / "key.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    scheme, host = ("https", "localhost") if certificate else ("http", "127.0.0.1")
    yield f"{scheme}://{host}:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def png_answer(*pictures):
    found = []
    for picture in pictures:
        with io.BytesIO() as file:
            Image.fromarray(picture).save(file, "PNG")
            found.append({"b64": base64.b64encode(file.getvalue()).decode()})
    return json.dumps({"outputs": found}).encode()


GREY = np.arange(16, dtype=np.uint8).reshape(4, 4)
UNREADABLE = {
    "nothing": b"{}",
    "null": b'{"outputs": null}',
    "no PNG": b'{"outputs": [{"b64": "aGVsbG8="}]}',
    "no base64": b'{"outputs": [{"b64": "a"}]}',
    "another list": b'{"outputs": [1]}',
    "too many": png_answer(GREY, GREY),
    "none": b'{"outputs": []}',
    "a list": b"[]",
}


def test_a_stand_in_for_the_stand_in():
    with answering(png_answer(GREY)) as url:
        np.testing.assert_array_equal(SamplerClient(url, "m").sample(1)[0, ..., 0], GREY)


@pytest.mark.parametrize("case", UNREADABLE)
def test_answers_that_cannot_be_read_are_sentences(case):
    with (
        answering(UNREADABLE[case]) as url,
        pytest.raises(ServerError, match=r"Expected .*image") as error,
    ):
        SamplerClient(url, "m").sample(1)
    assert error.value.code == "UNKNOWN"


def test_an_answer_cut_short_is_unavailable():
    with (
        answering(png_answer(GREY)[:20], headers=[("Content-Length", "9999")]) as url,
        pytest.raises(ServerError, match="UNAVAILABLE"),
    ):
        SamplerClient(url, "m", tries=1).sample(1)


def test_an_answer_that_trickles_is_given_up_in_time():
    def trickle():
        for _ in range(100):
            time.sleep(0.2)
            yield b" "

    start = time.monotonic()
    with (
        answering(trickle) as url,
        pytest.raises(ServerError, match="DEADLINE_EXCEEDED"),
    ):
        SamplerClient(url, "m", timeout=0.7).sample(1)
    assert time.monotonic() - start < 3


def test_redirects_are_not_followed(local):
    there = [("Location", f"{local.urls['rest']}/v1/models/toy:predict")]
    with (
        answering(b"{}", status=307, headers=there) as url,
        pytest.raises(ServerError, match="HTTP 307"),
    ):
        SamplerClient(url, "toy").sample(1)


def test_https_trusts_what_it_is_told_to_and_nothing_else(certificate, monkeypatch):
    if certificate is None:
        pytest.skip("needs openssl, which makes the certificate")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())  # which does not know it
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    with answering(png_answer(GREY), certificate=certificate) as url:
        trusting = SamplerClient(url, "m", certificates=str(certificate / "certificate.pem"))
        assert len(trusting.sample(1)) == 1
        with pytest.raises(ServerError, match=r"UNAVAILABLE: .*certificate"):
            SamplerClient(url, "m", tries=1).sample(1)


def test_what_is_no_tensorflow_serving_is_a_sentence():
    with (
        answering(b"<html>hello") as url,
        pytest.raises(ServerError, match=r"received UNKNOWN: 200 '<html>hello', which is no JSON"),
    ):
        SamplerClient(url, "toy").sample(1)


def test_tls(local, certificate):
    if certificate is None:
        pytest.skip("needs openssl, which makes the certificate")
    trusted = local.client("grpcs", certificates=str(certificate / "certificate.pem"))
    assert_equal_images(trusted.sample(2, seed=1), local.draw(2, seed=1))
    with pytest.raises(ServerError, match="UNAVAILABLE"):
        local.client("grpcs", tries=1).sample(1)
    with pytest.raises(UserError, match=r"Expected a PEM file .*nothing"):
        local.client("grpcs", certificates="nothing")


def test_labels_choose_versions(local):
    assert_equal_images(local.client(label="stable").sample(2), local.draw(2, seed=0))


# Versions that come and go -----------------------------------------------------------------------


def test_a_hot_swap_under_load_gives_no_wrong_image(exports, generators, tmp_path):
    shutil.copytree(exports[0], tmp_path / "toy" / "1")
    expected = [images.to_uint8(gan.sample(20, seed=4)) for gan in generators]
    results, errors, stop = [], [], threading.Event()

    def ask(url):
        with SamplerClient(url, "toy", batch_size=6) as remote:
            while not stop.is_set():
                try:
                    results.append(remote.sample(20, seed=4))
                except ServerError as error:
                    errors.append(error)

    def whose(found):
        close = [np.abs(found.astype(int) - each).max() <= 1 for each in expected]
        assert close.count(True) == 1, "images of no version, or of several"
        return close.index(True)

    def until(version):
        hung = time.monotonic() + 300  # how soon is the machine's business
        while not results or whose(results[-1]) != version:
            assert not errors, errors[0]
            assert time.monotonic() < hung
            time.sleep(0.05)

    with contextlib.ExitStack() as leaving:
        urls, _ = leaving.enter_context(stand_in(tmp_path, "toy"))
        threads = [
            threading.Thread(target=ask, args=(urls[kind],), daemon=True)
            for kind in ("grpc", "grpc", "rest")
        ]
        for thread in threads:
            thread.start()
            leaving.callback(thread.join)
        leaving.callback(stop.set)
        until(0)
        # Half of a version, as a careless copy leaves it: the server goes on with the old one. It
        # comes and goes whole, or chance says what else is missing when the server looks.
        without = shutil.ignore_patterns("variables")
        half = pathlib.Path(shutil.copytree(exports[1], tmp_path / "half", ignore=without))
        half.rename(tmp_path / "toy" / "2")
        time.sleep(1)
        assert whose(results[-1]) == 0
        (tmp_path / "toy" / "2").rename(half)
        assert export.push(exports[1], tmp_path / "toy") == tmp_path / "toy" / "2"
        until(1)
        export.push(exports[2], tmp_path / "toy")
        until(2)
    assert not errors
    assert {whose(found) for found in results} == {0, 1, 2}


# The client itself -------------------------------------------------------------------------------


def test_it_imports_neither_tensorflow_nor_keras(local):
    program = (
        "import sys; from keras_gan import sample; code = sample.run();"
        "print([m for m in sys.modules if m.split('.')[0] in ('tensorflow', 'keras')])"
    )
    arguments = [f"--url={local.urls['grpc']}", "--name=toy", "--n=3", "--out=x.npz"]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=local.folder,
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines() == ["3 images in x.npz", "[]"], done.stderr
    assert_equal_images(np.load(local.folder / "x.npz")["images"], local.draw(3, seed=0))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--url=grpc://127.0.0.1:1"], "Expected --name with --url; received none"),
        (["--url=ftp://x", "--name=m"], "Expected a URL of grpc://"),
        (["--url=http://", "--name=m"], "and nothing more; received 'http://'"),
        (["--url=http://x:99999", "--name=m"], "and nothing more; received 'http://x:99999'"),
        (["--url=http://u:p@x", "--name=m"], "and nothing more"),
        (["--url=http://x/prefix", "--name=m"], "and nothing more"),
        (["--url=http://[::1", "--name=m"], "and nothing more"),
        (["--url=http://x", "--name=m", "--version=1", "--label=a"], "a version or a label"),
        (["--url=http://x", "--model=m"], "received --model=m and --url=http://x"),
        (["--model=m", "--label=a"], "Expected --label with --url"),
        (["--model=m", "--timeout=60"], "Expected --timeout with --url"),
        (["--model=m", "--truncation=0"], "truncation"),
    ],
)
def test_flags_that_do_not_go_together(arguments, sentence, capsys):
    assert cli.run(sample.main, sample.FLAGS, "", ["sample", *arguments]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        ({"batch_size": 1025}, {"n": 1}),
        ({"batch_size": 0}, {"n": 1}),
        ({"tries": 0}, {"n": 1}),
        ({"timeout": 0}, {"n": 1}),
        ({"timeout": float("nan")}, {"n": 1}),
        ({}, {"n": 0}),
        ({}, {"n": 1, "seed": -1}),
        ({}, {"n": 1, "seed": 2**32}),
        ({}, {"n": 1, "truncation": 0.0}),
        ({}, {"n": 1, "truncation": float("nan")}),
        ({}, {"n": 2, "labels": [1]}),
    ],
)
def test_mistakes_are_found_before_anything_is_sent(arguments, asked):
    with pytest.raises(UserError, match="Expected"):
        SamplerClient("http://127.0.0.1:1", "m", **arguments).sample(**asked)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, m: (x[0], m), r"images of shape \[n, H, W, C\]; received float32 of shape \(8,"),
        (lambda x, m: (x.astype(np.uint8), m), "float32 images.*received uint8"),
        (lambda x, m: (x * np.nan, m), r"images in \[0, 1\]"),
        (lambda x, m: (x[:0], m), "at least one image"),
        (lambda x, m: (x, m / 2), "masks of 0 and 1"),
        (lambda x, m: (x, m[:, :4]), "masks of 0 and 1 of shape"),
    ],
)
def test_images_and_masks_are_looked_at_before_anything_is_sent(change, message):
    pictures, masks = change(np.ones((2, 8, 8, 1), np.float32), holes(2))
    with pytest.raises(UserError, match=message) as error:
        SamplerClient("http://127.0.0.1:1", "m").inpaint(pictures, masks)
    assert not isinstance(error.value, ServerError)


def test_grpc_without_grpcio_is_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(UserError, match=r"keras_gan\[serving\]"):
        SamplerClient("grpc://127.0.0.1", "m")


def test_default_ports_and_ipv6():
    assert transports.Rest("::1", 8501, False, None)._root == "http://[::1]:8501/v1/models/"
    remote = SamplerClient("https://example.org", "a/b")
    assert remote._transport._root == "https://example.org:8501/v1/models/"
    assert transports._path(messages.model_spec("a/b", 3)) == "a%2Fb/versions/3"
    assert transports._path(messages.model_spec("m", label="x y")) == "m/labels/x%20y"
