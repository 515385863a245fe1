"""What the benchmarks count and write; speed itself is never asserted."""

import sys

import pytest

from benchmarks import arithmetic, racing, results, step_speed
from keras_gan import building, cli, recipes
from keras_gan.interfaces import UserError

RACER = """
import sys
sys.path.insert(0, {folder!r})
import turns
print("a library's greeting", flush=True)
for steps in turns.turns():
    print("noise", steps, flush=True)
"""


def test_a_step_of_the_papers_pair_has_the_arithmetic_that_is_known():
    gan = building.build(recipes.get_recipe("mnist_paper", None), (28, 28, 1), train_images=50000)
    g = 100 * 1200 + 1200 * 1200 + 1200 * 784
    d = 784 * 1200 + 240 * 1200 + 240
    d_hidden = 240 * 1200 + 240  # what gradients go through to reach all weights of D
    shared = g + 2 * d + 2 * (d + d_hidden) + d + g + (g - 100 * 1200)
    for alternating, products in ((False, shared), (True, shared + g + d)):
        count = arithmetic.step(gan.generator, gan.discriminator, 100, alternating=alternating)
        assert count == 2 * 100 * products
    assert count / 1e9 == pytest.approx(3.57, abs=0.01)


def test_a_step_of_convolutions_by_hand():
    import keras
    from keras import layers

    generator = keras.Sequential(
        [
            keras.Input((3,)),
            layers.Dense(2 * 2 * 5),
            layers.Reshape((2, 2, 5)),
            layers.Conv2DTranspose(4, 4, strides=2, padding="same"),
        ]
    )
    discriminator = keras.Sequential(
        [keras.Input((4, 4, 4)), layers.Conv2D(6, 3, strides=2, padding="same"), layers.Flatten()]
    )
    assert arithmetic.forward(generator) == [
        (2 * 3 * 20, True),
        (2 * (2 * 2) * 4 * 4 * 5 * 4, False),
    ]
    assert arithmetic.forward(discriminator) == [(2 * (2 * 2) * 3 * 3 * 4 * 6, True)]


def test_racers_take_turns_and_a_dead_one_is_named(tmp_path):
    script = tmp_path / "racer.py"
    folder = str(results.RESULTS.parent / "peers")
    script.write_text(RACER.format(folder=folder))
    racers = [
        racing.Racer(name, (sys.executable, str(script)), steps=steps, gflop=1.0)
        for name, steps in (("one", 10), ("two", 1000))
    ]
    rates = racing.race(racers, rounds=3)
    assert {name: len(found) for name, found in rates.items()} == {"one": 3, "two": 3}
    assert min(rates["two"]) > 0
    script.write_text("raise SystemExit(1)")
    with pytest.raises(UserError, match="Expected one to play; it ended"):
        racing.race(racers, rounds=1)


def test_the_table_compares_round_by_round_and_with_what_is_possible():
    racers = [
        racing.Racer("ceiling", (), steps=1, gflop=5.0),
        racing.Racer("ours", (), steps=1, gflop=2.0),
        racing.Racer("theirs", (), steps=1, gflop=4.0),
    ]
    rates = {
        "ceiling": [20.0, 40.0, 40.0],
        "ours": [30.0, 60.0, 70.0],
        "theirs": [20.0, 20.0, 35.0],
    }
    lines = list(racing.table(racers, rates, "ceiling", "theirs"))
    # 2 of the 5 GFLOP of a product: 50, 100, 100 steps/s are possible.
    assert lines[2] == "| ceiling | | | | 100% |"
    assert lines[3] == "| ours | 60.0 | 30.0 to 70.0 | 2.00 (1.50 to 3.00) | 60% |"


def test_a_section_is_written_in_its_place_and_others_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "RESULTS", tmp_path / "RESULTS.md")
    titles = [section.title for section in results.SECTIONS.values()]
    results.write(titles[2], "benchmarks.three --x=1", "plain text\n")
    results.write(titles[0], "benchmarks.one", "| a |\n| --- |\n| 1 |\n")
    results.write(titles[2], "benchmarks.three --x=2", "other text")
    text = (tmp_path / "RESULTS.md").read_text()
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == [
        titles[0],
        titles[2],
    ]
    assert "`python -m benchmarks.three --x=2`" in text
    assert "plain text" not in text
    assert "```\nother text\n```" in text
    assert "```\n| a |" not in text


def test_a_sections_command_is_recorded_without_this_machines_folders():
    command = [
        "benchmarks.one",
        "--seed=1",
        "--examples=/mnt/mnist",
        "--peers=build/peers/bin/python",
    ]
    assert results.recorded(command) == "benchmarks.one --seed=1"


def test_more_for_a_section_that_is_none_is_refused(capsys):
    code = cli.run(results.main, results.FLAGS, "", ["results", "--more=stap=--rounds=1"])
    assert code == 2
    assert "received stap." in capsys.readouterr().err


def test_a_row_of_ours_that_fell_behind_is_named_by_its_median_ratio():
    rates = {
        "ceiling: matrix products": [1.0, 1.0, 1.0],
        "keras_gan, one": [1.0, 8.0, 9.0],  # 0.5, 2 and 0.9 times the reference
        "keras_gan, two": [4.0, 4.0, 10.0],
        "plain Keras": [2.0, 4.0, 10.0],
    }
    assert racing.ratios(rates, "keras_gan, one", "plain Keras") == [0.5, 2.0, 0.9]
    assert step_speed.too_slow(rates, "plain Keras", 0.95) == ["keras_gan, one"]
    assert step_speed.too_slow(rates, "plain Keras", 0.9) == []


def test_an_expression_that_is_none_is_a_sentence(capsys):
    assert cli.run(step_speed.main, step_speed.FLAGS, "", ["step_speed", "--only=("]) == 2
    assert "Expected a regular expression; received --only=(: " in capsys.readouterr().err
