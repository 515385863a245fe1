"""Ask a server for images with several clients at once: requests/s, images/s, latencies.

    python -m benchmarks.serving_load --model=saved_models/mnist
    python -m benchmarks.serving_load --url=grpc://127.0.0.1:8500 --name=mnist

Without --url it starts the stand-in of tests/serving on loopback, over TensorFlow's own C++ loader:
its numbers are of the protocols and of the graph, not of TensorFlow Serving. With --swap it swaps
the version under load between the two newest of --model and counts wrong images. Loopback only,
unless --remote says otherwise; bounded by --seconds for each row.
"""

import concurrent.futures
import contextlib
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Iterator

import numpy as np
from absl import flags

from keras_gan import card, cli, files
from keras_gan.client import SamplerClient
from keras_gan.interfaces import MAX_ROWS, UserError

MAX_CLIENTS, MAX_SECONDS = 64, 300
LOOPBACK = ("127.0.0.1", "localhost", "::1")

FLAGS = flags.FlagValues()
flags.DEFINE_string("model", None, "An export, or a folder of versions.", flag_values=FLAGS)
flags.DEFINE_string("url", None, "A server that is up already.", flag_values=FLAGS)
flags.DEFINE_string("name", "model", "The model's name there.", flag_values=FLAGS)
flags.DEFINE_bool("remote", False, "Load a server of another machine, too.", flag_values=FLAGS)
flags.DEFINE_integer(
    "clients", 4, "At once.", lower_bound=1, upper_bound=MAX_CLIENTS, flag_values=FLAGS
)
flags.DEFINE_float(
    "seconds", 5.0, "For each row.", lower_bound=0.1, upper_bound=MAX_SECONDS, flag_values=FLAGS
)
flags.DEFINE_list("batches", ["1", "16", "256"], "Images in a request.", flag_values=FLAGS)
flags.DEFINE_bool("swap", True, "Swap versions under load, too.", flag_values=FLAGS)
ROW = "{:<22}{:>8}{:>12}{:>12}{:>10}{:>10}{:>10}{:>8}"


@contextlib.contextmanager
def stand_in(folder: pathlib.Path, name: str) -> Iterator[dict[str, str]]:
    """Start the protocol stand-in over a folder of versions; yield its addresses."""
    command = [sys.executable, "-m", "tests.serving.server", f"--base={folder}", f"--name={name}"]
    with subprocess.Popen(
        [*command, "--poll=0.1"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            ports = json.loads(process.stdout.readline())
            yield {
                "gRPC": f"grpc://127.0.0.1:{ports['grpc']}",
                "REST": f"http://127.0.0.1:{ports['rest']}",
            }
        finally:
            process.kill()


def ask(url: str, name: str, batch: int, until: float, first: int) -> list[float]:
    """Ask for images until the time is up; return each request's seconds."""
    found = []
    with SamplerClient(url, name, batch_size=batch) as client:
        client.sample(batch, seed=first)  # connects
        while time.monotonic() < until:
            start = time.perf_counter()
            client.sample(batch, seed=first)
            found.append(time.perf_counter() - start)
    return found


def load(url: str, name: str, batch: int, clients: int, seconds: float) -> list[float]:
    """Ask with several clients, each a thread; return all requests' seconds."""
    until = time.monotonic() + seconds
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        runs = [pool.submit(ask, url, name, batch, until, number) for number in range(clients)]
        return [each for run in runs for each in run.result()]


def swap(folder: pathlib.Path, models: list[pathlib.Path], clients: int, seconds: float) -> str:
    """Swap two versions under load; count the answers that are of neither, or of both."""
    shutil.copytree(models[0], folder / "1")
    with stand_in(folder, "model") as urls:
        number, until = 1, time.monotonic() + seconds
        with concurrent.futures.ThreadPoolExecutor(clients) as pool:

            def ask_on(url: str) -> list[bytes]:
                found = []
                with SamplerClient(url, "model", batch_size=16) as client:
                    while time.monotonic() < until:
                        found.append(client.sample(48, seed=7).tobytes())
                return found

            kinds = list(urls.values())
            runs = [pool.submit(ask_on, kinds[i % len(kinds)]) for i in range(clients)]
            while time.monotonic() < until - 1:
                time.sleep(1)
                number += 1
                with files.new_folder(folder / str(number)) as place:
                    shutil.copytree(models[(number - 1) % 2], place, dirs_exist_ok=True)
            answers = [answer for run in runs for answer in run.result()]
        expected: list[np.ndarray] = []
        for model in models:
            with contextlib.ExitStack() as leaving:
                alone = folder.with_name(f"alone-{len(expected)}")
                shutil.copytree(model, alone / "1")
                each = leaving.enter_context(stand_in(alone, "model"))["gRPC"]
                client = leaving.enter_context(SamplerClient(each, "model"))
                expected.append(client.sample(48, seed=7).astype(int))
    if np.abs(expected[0] - expected[1]).max() <= 1:
        return "The two newest versions draw the same images: swapping them would show nothing"
    wrong = 0
    for answer in set(answers):
        found = np.frombuffer(answer, np.uint8).reshape(expected[0].shape).astype(int)
        # Rounding to 8 bits may turn a last bit of a float into one grey level.
        if min(np.abs(found - each).max() for each in expected) > 1:
            wrong += answers.count(answer)
    return (
        f"{number - 1} swaps under {clients} clients: {len(answers):,} answers of 48 images in 3 "
        f"requests each, {wrong} wrong"
    )


def main(values: flags.FlagValues) -> None:
    """Run the command with its parsed flags."""
    if not values.model and not values.url:
        raise UserError("Expected --model or --url; received neither.")
    host = urllib.parse.urlsplit(values.url or "").hostname
    if host and host not in LOOPBACK and not values.remote:
        raise UserError(
            f"Expected a server on this machine; received --url={values.url}. Try --remote, if you "
            "may load it."
        )
    batches = [int(text) if text.isdecimal() else 0 for text in values.batches]
    if not all(1 <= batch <= MAX_ROWS for batch in batches):
        raise UserError(f"Expected --batches of 1 to {MAX_ROWS}; received {values.batches}.")
    with contextlib.ExitStack() as leaving:
        scratch = pathlib.Path(leaving.enter_context(tempfile.TemporaryDirectory()))
        if values.url:
            urls = {values.url.partition(":")[0]: values.url}
        else:
            model = card.find(values.model)
            shutil.copytree(model, scratch / "one" / "1")
            urls = leaving.enter_context(stand_in(scratch / "one", values.name))
        print(
            ROW.format(
                "", "batch", "requests/s", "images/s", "p50 ms", "p95 ms", "p99 ms", "clients"
            )
        )
        for kind, url in urls.items():
            for batch in batches:
                seconds = load(url, values.name, batch, values.clients, values.seconds)
                rate = len(seconds) / values.seconds
                marks = [f"{m * 1e3:.1f}" for m in np.percentile(seconds, (50, 95, 99))]
                print(
                    ROW.format(
                        kind, batch, f"{rate:,.0f}", f"{rate * batch:,.0f}", *marks, values.clients
                    )
                )
        numbers = card.versions(values.model) if values.model and not values.url else []
        if values.swap and len(numbers) > 1:
            models = [pathlib.Path(values.model) / str(number) for number in numbers[-2:]]
            print(swap(scratch / "swap", models, values.clients, 3 * values.seconds))


if __name__ == "__main__":
    sys.exit(cli.run(main, FLAGS, __doc__ or ""))
