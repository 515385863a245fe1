"""The report in a real browser, from disk and without a network."""

import pytest

from keras_gan import pages
from tests import browser
from tests.browser import opened
from tests.runs import STEPS, write_run

chromium = browser.chromium

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    run = write_run(tmp_path_factory.mktemp("runs") / "a_run_with_a_rather_long_name_of_many_words")
    return pages.write_report([run])


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    runs = [write_run(root / f"run_number_{latent}", latent=latent) for latent in (10, 20, 30, 40)]
    return pages.write_report(runs, root / "comparison.html")


@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["one", "several"])
def test_it_opens_and_nothing_is_wider_than_the_screen(
    request,
    chromium,
    name,
    viewport,
    scheme,
):
    path = request.getfixturevalue(name)
    with opened(chromium, path.as_uri(), viewport=viewport, color_scheme=scheme) as (page, wrong):
        assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (colour == "rgb(255, 255, 255)") == (scheme == "light")
        stroke = page.locator("svg path[style*='--series-0']").first
        drawn = stroke.evaluate("path => getComputedStyle(path).stroke")
        assert drawn == {"light": "rgb(31, 95, 168)", "dark": "rgb(127, 181, 245)"}[scheme]
        smallest = page.evaluate(
            "Math.min(...[...document.querySelectorAll('svg text')]"
            ".map(text => text.getBoundingClientRect().height))"
        )
        assert smallest >= 9  # pixels
        assert wrong == []


def test_the_slider_moves_the_frame_the_histograms_and_the_cursor(one, chromium):
    def state():
        return page.evaluate(
            "[document.getElementById('frame').src,"
            " document.querySelector('#logits .histogram').getAttribute('d'),"
            " document.querySelector('#chart-0 .cursor').getAttribute('x1'),"
            " document.getElementById('said').textContent]"
        )

    with opened(chromium, one.as_uri(), viewport=DESK) as (page, wrong):
        last = state()
        assert last[2] == "408"
        assert last[3].startswith("Step 1,000")
        page.locator("#slider").press("Home")
        first = state()
        assert float(first[2]) == pytest.approx(52 + 356 * STEPS[0] / STEPS[-1])
        assert first[3] == "Step 100d_loss 1.00 · g_loss 0.90 · D(x) 0.70 · D(G(z)) 0.30"
        assert first[0] != last[0]
        assert first[1] != last[1]
        page.locator("#slider").press("ArrowRight")
        assert state()[3].startswith("Step 200")
        page.locator("#play").click()
        page.wait_for_function("document.getElementById('slider').value === '9'")
        assert state() == last
        assert page.locator("#play").inner_text() == "Play"
        assert wrong == []


def test_without_scripts_it_is_whole_but_for_the_slider(one, chromium):
    options = {"viewport": DESK, "java_script_enabled": False}
    with opened(chromium, one.as_uri(), **options) as (page, wrong):
        assert page.locator("#frame").is_visible()
        assert page.locator("#logits .histogram").first.is_visible()
        assert not page.locator(".player").is_visible()
        assert not page.locator(".copy").is_visible()
        cursor = page.locator("#chart-0 .cursor")
        assert cursor.evaluate("line => getComputedStyle(line).visibility") == "hidden"
        assert wrong == []


def test_the_command_can_be_copied(one, chromium):
    with opened(chromium, one.as_uri(), viewport=DESK) as (page, wrong):
        page.locator(".copy").click()
        page.wait_for_function("document.querySelector('.copy').textContent !== 'Copy'")
        assert page.locator(".copy").inner_text() in ("Copied", "Selected")
        assert wrong == []


def test_paper_is_white_and_has_no_buttons(one, chromium):
    with opened(chromium, one.as_uri(), viewport=DESK, color_scheme="dark") as (page, wrong):
        page.emulate_media(media="print", color_scheme="dark")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == (
            "rgb(255, 255, 255)"
        )
        assert not page.locator(".player").is_visible()
        assert not page.locator(".copy").is_visible()
        assert wrong == []
