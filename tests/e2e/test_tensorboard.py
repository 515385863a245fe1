"""The real TensorBoard page of a real run, in a real browser."""

import contextlib
import dataclasses
import re
import subprocess
import sys

from keras_gan import experiment
from tests import browser
from tests.conformance.cases import CASES
from tests.test_monitors import scalars

chromium = browser.chromium
RECIPE = dataclasses.replace(
    CASES["maxout_mlp-minimax"], steps=20, log_every=4, sample_every=8, checkpoint_every=20
)


@contextlib.contextmanager
def tensorboard(logs):
    """Serve a folder of logs; yield the page's address."""
    command = [sys.executable, "-m", "tensorboard.main", f"--logdir={logs}", "--port=0"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        yield next(found[0] for line in server.stderr if (found := re.search(r"http://\S+", line)))
    finally:
        server.terminate()
        server.wait()


def test_scalars_and_images_of_a_run_appear(chromium, examples, tmp_path):
    result = experiment.train(RECIPE, tmp_path / "runs" / "toy", examples, tmp_path / "exports")
    with tensorboard(tmp_path / "runs") as address:
        page_of = lambda tag: f"{address}?tagFilter=%5E{tag}%24#timeseries"  # noqa: E731
        with browser.opened(chromium, page_of("d_loss"), offline=False) as (page, _):
            card = page.locator("card-view", has_text="d_loss")
            card.get_by_text("toy/tensorboard").first.wait_for()
            step, last = scalars(result.logs)["d_loss"][-1]
            shown = card.inner_text().split()
            assert str(step) in shown
            assert any(text == f"{last:.5g}" for text in shown), (last, shown)
            for tag, size in (("samples", 8 * 9 - 1), ("interpolations", 8 * 9 - 1)):
                page.goto(page_of(tag))
                page.reload()
                picture = page.locator("card-view", has_text=tag).locator("img")
                picture.wait_for()
                page.wait_for_function("image => image.complete", arg=picture.element_handle())
                assert picture.evaluate("image => image.naturalWidth") == size
