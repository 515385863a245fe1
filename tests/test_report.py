"""The report of a run and of several, as a browser would read them."""

import html.parser
import json
import math
import re

import numpy as np
import pytest

from keras_gan import charts, cli, curves, facts, pages, recipes, report
from keras_gan.history import Histogram
from keras_gan.interfaces import UserError
from tests.runs import STEPS, logged, png, write_run

TIMES = "\N{MULTIPLICATION SIGN}"
VOID = {"meta", "link", "img", "input", "br"}


class Page(html.parser.HTMLParser):
    """What a page says and refers to."""

    def __init__(self, text):
        super().__init__()
        self.source, self.words, self.ids, self.addresses, self.tags = text, [], [], [], []
        self.open = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append((tag, attrs))
        if tag not in VOID:
            self.open.append(tag)
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.addresses += [attrs[name] for name in ("src", "href", "xlink:href") if name in attrs]

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] not in (["script"], ["style"]):
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def read(*workdirs, out=None):
    return Page(pages.write_report(workdirs, out).read_text(encoding="utf-8"))


@pytest.fixture
def run(tmp_path):
    pictures = [(1000, tag, [b"32", b"32", png(tmp_path / "p.png", 9)]) for tag in pages.PICTURES]
    return write_run(tmp_path / "runs" / "mine", events=logged() + pictures)


def test_a_page_stands_alone(run, tmp_path):
    other = write_run(tmp_path / "runs" / "other", latent=50)
    for page in (read(run), read(run, other, out=tmp_path / "both.html")):
        assert page.open == []
        assert len(set(page.ids)) == len(page.ids) > 50
        assert all(each.startswith(("data:", "#")) for each in page.addresses)
        references = re.findall(r"url\(([^)]*)\)", page.source)
        assert {each[1:] for each in references} <= set(page.ids)
        assert {each[1:] for each in page.addresses if each[0] == "#"} <= set(page.ids)
        assert "http" not in re.sub(r"base64,[^\"']*", "", page.source)
        drawings = [attrs for tag, attrs in page.tags if tag == "svg"]
        assert drawings
        assert all(each["role"] == "img" and each["aria-label"] for each in drawings)
        assert all(attrs.get("alt") for tag, attrs in page.tags if tag == "img")
        assert not re.search(r"#0?1?0[123][0-9a-f]{2,4}\b", page.source)  # colours not replaced


def test_a_run_is_told_whole(run):
    page = read(run)
    for words in (
        f"28 {TIMES} 28 grey images, trained on mnist",
        "Finished At step 1,000, 2026-01-02 03:14",
        "Log-likelihood Not judged yet",
        f"python -m keras_gan.evaluate --workdir={run}",
        "0123456789ab…",
        f"28 {TIMES} 28 {TIMES} 1; 50,000 training",
        "keras 3.15.1, tensorflow 2.21.0",
        "All settings are those of the recipe mnist.",
        "Time trained 20 s",
        "Steps per second, median 50.0",
        "Training images shown to D 100,000",
        "Waiting for input 25.0% of the time",
        "Peak memory 1.50 GiB",
        "Warnings None.",
    ):
        assert words in page.text
    not_logged = {"Momentum", "Error of the encoder in z"}
    titles = [plan.title for plan in curves.PLANS if plan.title not in not_logged]
    for title in [
        *titles,
        "D's logits over time",
        *pages.PICTURES.values(),
    ]:
        assert title in page.text
    assert not any(title in page.text for title in not_logged)
    assert ("code", {"title": "0123456789abcdef" * 4}) in page.tags
    command = page.source.partition('<code id="command">')[2].partition("</code>")[0]
    assert Page(command).text == "python -m keras_gan.train --dataset=mnist"


def test_settings_that_are_not_the_recipes_are_listed_with_both_values(tmp_path):
    page = read(write_run(tmp_path / "run", latent=64, name="mnist_mine", validation="last:5000"))
    assert "Other than in the recipe mnist" in page.text
    assert "latent 100 64" in page.text
    assert "validation last:10000 last:5000" in page.text
    rows = page.text.partition("This run")[2].partition("To repeat it")[0]
    assert rows.split() == ["latent", "100", "64", "validation", "last:10000", "last:5000"]


def test_the_slider_moves_what_was_logged_at_its_step(run):
    found = json.loads(re.search(r'id="moments">(.*?)</script>', read(run).source, re.S)[1])
    assert [moment[0] for moment in found["moments"]] == list(STEPS)
    shown = {moment[0]: found["frames"][moment[1]][0] for moment in found["moments"]}
    assert (shown[100], shown[500], shown[600], shown[1000]) == (200, 200, 600, 1000)
    assert len(found["paths"]) == len({str(path) for path in found["paths"]}) == len(STEPS)
    assert [moment[2] for moment in found["moments"]] == list(range(len(STEPS)))
    assert found["moments"][0][3] == "d_loss 1.00 · g_loss 0.90 · D(x) 0.70 · D(G(z)) 0.30"
    assert found["moments"][-1][3] == "d_loss 1.18 · g_loss 0.72 · D(x) 0.61 · D(G(z)) 0.39"


def test_frames_are_thinned_evenly_to_what_a_page_can_hold(run, monkeypatch):
    for step in range(10, 200, 10):
        png(run / "samples" / f"step-{step:07d}.png", step)
    every = [step for step, _ in pages._frames(facts.read(run))]
    assert len(every) == 22
    monkeypatch.setattr(pages, "FRAME_BYTES", 22 * 60 // 3)
    steps = [step for step, _ in pages._frames(facts.read(run))]
    assert 3 <= len(steps) <= 11
    assert steps[-1] == 1000
    gaps = np.diff([every.index(step) for step in steps])
    assert gaps.max() - gaps.min() <= 1


@pytest.mark.parametrize(
    ("loss", "there"), [("non_saturating", True), ("minimax", True), ("wasserstein", False)]
)
def test_the_line_of_2_log_2_is_for_the_papers_losses(tmp_path, loss, there):
    run = write_run(tmp_path / "run", loss=loss)
    chart = next(each for each in curves.of_run(facts.read(run)) if each.title == "Losses")
    assert ("2 log 2" in chart.note) is there
    assert ("var(--rule)" in chart.svg) is there
    assert curves.PLANS[0].rule == pytest.approx(2 * math.log(2))


def test_the_alarms_line_is_where_the_alarm_is():
    from keras_gan.metrics import diversity

    (plan,) = [plan for plan in curves.PLANS if plan.title == "Variety of the samples"]
    assert plan.rule == diversity.COLLAPSED


def test_scores_stand_beside_the_ruler_and_the_published_ones(tmp_path):
    run = write_run(tmp_path / "run")
    about = json.loads((run / "run.json").read_text())
    row = {"log_likelihood": 210.25, "stderr": 2.04, "samples": 10000}
    known = {"step": 900, "data_hash": about["data_hash"], "row": row}
    (run / "evaluation.json").write_text(json.dumps(known))
    page = read(run)
    assert "at step 900 (the run is at 1,000)" in page.text
    assert "this run 210.2 ± 2.0 DBN (Bengio et al. 2013) published 138.0 ± 2.0" in page.text
    assert "What real images score is not measured yet" in page.text

    kept = {"data_hash": about["data_hash"], "samples": 10000, "seed": 0, "version": 1}
    rows = {"training images": {"log_likelihood": 240.0, "stderr": 1.5}}
    ruler = tmp_path / "data.ruler-10000-0.json"
    ruler.write_text(json.dumps({"of": kept | {"data_hash": "other"}, "rows": rows}))
    assert "training images 240.0" not in read(run).text
    ruler.write_text(json.dumps({"of": kept, "rows": rows}))
    page = read(run)
    assert "training images 240.0 ± 1.5" in page.text
    assert "keras_gan.evaluate" not in page.text

    (run / "evaluation.json").write_text(json.dumps(known | {"data_hash": "other"}))
    assert "Not judged yet" in read(run).text


def test_what_is_written_by_others_is_text(tmp_path):
    evil = "<script>alert(1)</script>"
    events = [*logged(), (300, "warnings", f"{evil} D < G"), (400, "warnings", "two")]
    about = {"command": f"train {evil}", "ended": {"how": "error", "why": evil, "step": 1000}}
    run = write_run(tmp_path / "run", events=events, about=about, name=f"mnist_{evil}")
    page = read(run)
    assert "<script>alert" not in page.source
    assert f"Step 300 {evil} D < G Step 400 two" in page.text
    assert f"Failed At step 1,000. {evil}" in page.text
    other = write_run(tmp_path / "a<b>c&quot;", about=about)
    assert "<b>" not in read(run, other, out=tmp_path / "both.html").source.replace("<b></b>", "")


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ({"ended": None}, "How it ended was not recorded."),
        ({"ended": None, "stopped": "It fell."}, "Collapsed At step 1,000. It fell."),
        ({"ended": {}}, "Not ended It was still running"),
        ({"ended": {"how": "full disk", "why": "No room.", "step": 700}}, "Disk full At step 700"),
    ],
)
def test_how_it_ended_is_said(tmp_path, about, words):
    assert words in read(write_run(tmp_path / "run", about=about)).text


def test_a_run_of_an_earlier_version_is_told_as_far_as_it_goes(tmp_path):
    events = [(step, "steps_per_second", 10.0) for step in STEPS]
    events += [(step, "d_loss", 1.0) for step in STEPS]
    missing = dict.fromkeys(("command", "started", "ended", "versions", "classes"))
    page = read(write_run(tmp_path / "run", events=events, about=missing, logs="logs"))
    assert "Time trained 1 min 40 s" in page.text
    for absent in ("To repeat it", "D's logits", "What D says", "Peak memory", "Versions"):
        assert absent not in page.text


def test_a_run_with_nothing_logged_has_a_page_that_says_so(tmp_path):
    empty = write_run(tmp_path / "empty", events=[], about={"ended": {}})
    page = read(empty)
    assert "Nothing was logged yet." in page.text
    assert not [tag for tag, _ in page.tags if tag in ("svg", "img", "figure", "input")]
    other = write_run(tmp_path / "other", events=[])
    assert "Nothing was logged yet." in read(empty, other, out=tmp_path / "x.html").text


def test_a_run_whose_numbers_were_lost_is_drawn(tmp_path):
    events = [(step, "d_loss", math.nan if step > 500 else 1.0) for step in STEPS]
    events += [(step, "parzen/validation", math.nan) for step in STEPS]
    page = read(write_run(tmp_path / "run", events=events))
    assert "Losses" in page.text


def test_data_that_are_still_there_are_counted(tmp_path, examples):
    from keras_gan import records

    info = records.DatasetInfo.read(examples)
    about = {"examples": str(examples), "data_hash": info.data_hash}
    run = write_run(tmp_path / "run", about=about)
    text = read(run).text
    assert "Data random/1.0.0" in text
    assert "240 training, 40 validation, 40 test" in text


def test_two_runs_are_compared(run, tmp_path):
    ended = {"how": "collapsed", "why": "", "step": 500, "at": ""}
    events = [event for event in logged() if event[0] <= 500]
    about = {"ended": ended, "data_hash": "f" * 64}
    other = write_run(tmp_path / "other", events=events, about=about, latent=50, ema_decay=0.5)
    page = read(run, other, out=tmp_path / "both.html")
    for words in (
        "2 runs mine other",
        "Data mnist 01234567 mnist ffffffff",
        "Ended Finished Collapsed",
        "Step 1,000 500",
        "Time trained 20 s 10 s",
        "Best Parzen while training 100.0 at step 800 97.0 at step 500",
        "ema_decay 0.9998 0.5 latent 100 50",
    ):
        assert words in page.text
    loss = next(attrs for tag, attrs in page.tags if attrs.get("id") == "chart-0")
    assert "mine: 1 at step 100, 1.18 at step 1,000; other: 1 at step 100" in loss["aria-label"]
    assert len([tag for tag, _ in page.tags if tag == "img"]) == 2


def test_runs_of_one_name_are_told_apart(tmp_path):
    runs = [write_run(tmp_path / parent / "run") for parent in "ab"]
    assert f"2 runs {runs[0]} {runs[1]}" in read(*runs, out=tmp_path / "both.html").text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Expected --workdir; received none"),
        (["--workdir={empty}"], "Expected a work directory of keras_gan.train"),
        (["--workdir={run}", "--workdir={run}/../mine"], "Expected each work directory once"),
        (["--workdir={run}", "--out={run}/run.json/x.html"], "Expected a folder that can be"),
        (["--workdir={run}", "--out={empty}"], "Expected --out to end in .html"),
    ],
)
def test_mistakes_are_one_sentence(run, tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    arguments = [each.format(run=run, empty=tmp_path / "empty") for each in arguments]
    assert cli.run(report.main, report.FLAGS, "", ["report", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_run_that_is_not_described_is_refused(tmp_path):
    run = write_run(tmp_path / "run")
    (run / "run.json").write_text("{")
    with pytest.raises(UserError, match="to describe a run"):
        pages.write_report([run])


def test_the_command_says_where_the_page_is(run, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.run(report.main, report.FLAGS, "", ["report", f"--workdir={run}"]) == 0
    assert capsys.readouterr().out == f"Report: {run}/report.html\n"
    other = write_run(tmp_path / "other")
    two = [f"--workdir={each}" for each in (run, other)]
    assert cli.run(report.main, report.FLAGS, "", ["report", *two]) == 0
    assert (tmp_path / "report.html").is_file()


def test_a_disk_that_takes_no_report_fails_no_run(run, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    assert pages.refresh(run) == run / "report.html"
    monkeypatch.setattr(pages.files, "replacing", full)
    assert pages.refresh(run) is None


def test_quantiles_and_other_bars_of_a_histogram():
    histogram = Histogram(np.array([0.0, 1.0, 3.0]), np.array([2.0, 2.0]))
    found = charts.quantiles(histogram, [0.0, 0.25, 0.5, 0.75, 1.0])
    assert found.tolist() == [0.0, 0.5, 1.0, 2.0, 3.0]
    bars = charts.rebin(histogram, np.array([-1.0, 0.5, 2.0, 4.0]))
    assert bars.tolist() == [1.0, 2.0, 1.0]


@pytest.mark.parametrize(
    ("chosen", "base"),
    [
        (("mnist", "fashion_mnist"), "mnist"),
        ((None, "cifar10_1"), "images"),
        ((None, "mnist_corrupted/shot_noise"), "images"),
        ((None, None, "mnist_photos"), "images"),
        (("mnist_paper", None, "mnist_photos"), "mnist_paper"),
        (("mnist_paper_tuned", "kmnist"), "mnist_paper_tuned"),
        (("mnist_paper_tuned", None), "mnist_paper_tuned"),
    ],
)
def test_a_run_is_told_as_a_change_of_the_recipe_it_was_made_from(chosen, base):
    recipe = recipes.get_recipe(*chosen).with_overrides(["seed=3", "ema_decay=0.5"])
    assert facts.base_recipe(recipe).name == base


@pytest.mark.parametrize(
    ("seconds", "text"), [(42.4, "42 s"), (390, "6 min 30 s"), (11100, "3 h 5 min")]
)
def test_durations(seconds, text):
    assert facts.duration(seconds) == text
