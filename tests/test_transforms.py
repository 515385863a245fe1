import dataclasses

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import transforms, work
from pipelines.sources import source as source_module
from pipelines.sources.source import Block, Chunk, plan_blocks
from pipelines.transforms import KEEPERS, Digests, FindDuplicates
from pipelines.work import Waiting

IMAGE_AND_PLACE = st.tuples(st.integers(0, 6), st.integers(0, 2))


@dataclasses.dataclass
class FakeSource:
    splits: dict
    image_shape: tuple = (28, 28, 1)
    names: dict = dataclasses.field(default_factory=dict)


def test_blocks_cover_every_image_once():
    blocks = plan_blocks(FakeSource({"train": 20001, "test": 5}), 2**25)
    assert [b.index for b in blocks] == list(range(len(blocks)))
    assert {b.total for b in blocks} == {len(blocks)}
    covered = [(b.split, i) for b in blocks for i in range(b.start, b.stop)]
    assert covered == [("train", i) for i in range(20001)] + [("test", i) for i in range(5)]
    big = plan_blocks(FakeSource({"train": 100}, (1024, 1024, 3)), 2**25)
    assert max(b.stop - b.start for b in big) == 10
    named = plan_blocks(FakeSource({"train": 3}, names={"train": ("a", "b", "c")}), 2 * 784)
    assert [b.names for b in named] == [("a", "b"), ("c",)]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 6), st.integers(0, 2)), max_size=6),
        min_size=1,
        max_size=5,
    ),
    st.randoms(),
)
def test_duplicates_are_what_a_plain_loop_finds(blocks, random):
    """An independent twin: go through all images, keepers first, and remember what was seen."""
    digests = [
        Digests(
            number,
            np.arange(len(rows)),
            np.array([[image, 0] for image, _ in rows], np.uint64).reshape(-1, 2),
            np.array([place for _, place in rows], np.int64),
            np.zeros(len(rows), np.int64),
        )
        for number, rows in enumerate(blocks)
    ]
    everything = sorted(
        (place, number, row, image)
        for number, rows in enumerate(blocks)
        for row, (image, place) in enumerate(rows)
    )
    seen, expected = {}, {}
    for place, number, row, image in everything:
        if image in seen:
            expected[number, row] = seen[image]
        else:
            seen[image] = (number, row, place)
    random.shuffle(digests)
    found = {}
    answered = set()
    for number, duplicates in FindDuplicates().process((0, digests)):
        answered.add(number)
        for row, (block, kept_row, place, _) in zip(duplicates.rows, duplicates.kept, strict=True):
            found[number, int(row)] = (int(block), int(kept_row), int(place))
    assert found == expected
    assert answered == set(range(len(blocks)))  # also those without duplicates


def test_a_waiting_block_comes_back_as_it_was(tmp_path):
    (tmp_path / "work").mkdir()
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (3, 4, 4, 1), np.uint8)
    names = ["é 猫.png", "tab\there", "\udcff"]
    waiting = Waiting(
        Block("train", 5, 9, 2, 7, ("not", "kept")), pictures, np.array([0, -1, 2]),
        np.array([2, 1, 0]), work.hash_images(pictures), names, [("bad", "why")],
    )  # fmt: skip
    waiting.write(str(tmp_path))
    loaded = Waiting.read(str(tmp_path), 2)
    assert loaded.block == Block("train", 5, 9, 2, 7)
    for field in ("pictures", "labels", "keepers", "hashes"):
        np.testing.assert_array_equal(getattr(loaded, field), getattr(waiting, field))
    assert (loaded.names, loaded.rejected) == (names, [("bad", "why")])
    assert Waiting.read(str(tmp_path), 2, pictures=False).pictures.size == 0


def test_a_block_that_was_read_is_not_read_again(tmp_path, monkeypatch):
    """So that work goes on where killed workers left it."""
    (tmp_path / "work").mkdir()
    reads = []

    class Source(FakeSource):
        def read(self, block):
            reads.append(block.index)
            yield Chunk(np.ones((4, 28, 28, 1), np.uint8), None, np.arange(4), list("abcd"))

    step = transforms.ReadBlock(Source({"train": 4}), str(tmp_path), "none", "none", 2)
    first, second = (list(step.process(Block("train", 0, 4, 0, 1))) for _ in range(2))
    assert reads == [0]
    assert [bucket for bucket, _ in first] == [0, 1]  # every block goes into every bucket
    assert sum(len(digests.rows) for _, digests in first) == 4
    for (_, left), (_, right) in zip(first, second, strict=True):
        np.testing.assert_array_equal(left.hashes, right.hashes)


def test_hashes_are_of_the_pixels():
    import hashlib

    pictures = np.arange(32, dtype=np.uint8).reshape(2, 4, 4, 1)
    expected = hashlib.sha256(bytes(range(16, 32))).digest()
    (_, second) = work.hash_images(pictures)
    assert b"".join(int(half).to_bytes(8, "big") for half in second) == expected[:16]


def test_lists_are_safe_to_read_line_by_line():
    assert work.tsv("a\tb\n", "猫", 1) == "a\\tb\\n\t猫\t1\n".encode()
    assert work.tsv("\udcff") == b"\\udcff\n"


def test_keepers_are_in_order():
    assert KEEPERS.index("test") < KEEPERS.index("validation") < KEEPERS.index("train")
    assert source_module.MAX_BLOCK_IMAGES == 8192
