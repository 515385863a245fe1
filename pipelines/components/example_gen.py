"""ExampleGen: images -> a data folder, with one Beam pass; or a folder that is there already."""

import os
import pathlib
import shutil
from typing import Any

from keras_gan import records
from keras_gan.interfaces import UserError
from pipelines import preprocess, schema
from pipelines.components.component import Outcome, Work
from pipelines.options import Checks, Options

# What is acceptable the ExampleValidator decides, which runs again when --allow changes.
ALLOW_ALL = Checks(max_rejected=1.0, allow=tuple(schema.NAMES))


def run(work: Work) -> Outcome:
    """Make the `examples`: shards, statistics and description, and TFX's names for the shards."""
    out = work.outputs["examples"]
    files = {}
    if "folder" in work.inputs:
        _link_all(work.inputs["folder"], out)
    else:
        options = Options(**work.arguments["options"])
        preprocess.preprocess(options, out, ALLOW_ALL)
        files = _source_files(options)
    info = records.DatasetInfo.read(out)
    for split in info.counts:
        shards = [shard for shard in info.shards if shard.split == split]
        (out / f"Split-{split}").mkdir()
        ending = ".gz" if info.compression else ""
        for index, shard in enumerate(shards):
            name = f"data_tfrecord-{index:05d}-of-{len(shards):05d}{ending}"
            _link(out / shard.name, out / f"Split-{split}" / name)
    return Outcome(
        {
            "dataset": info.dataset,
            "source": info.source,
            "source_files": files,
            "fingerprint": info.quality.get("fingerprint"),
            "shards": {shard.name: shard.sha256 for shard in info.shards},
            "data_hash": info.data_hash,
            "counts": info.counts,
            "image_shape": list(info.image_shape),
            "made_with": info.parameters,
            "split_names": list(info.counts),
            **{name: info.quality.get(name) for name in ("read", "rejected", "duplicates")},
        }
    )


def _source_files(options: Options) -> dict[str, str]:
    """Hash the source's own files, where these are few; the data hash tells of every image."""
    named: list[Any] = [options.arrays, options.labels]
    if options.manual_dir:
        named += sorted(pathlib.Path(options.manual_dir).iterdir())
    paths = [pathlib.Path(path) for path in named if path and "://" not in str(path)]
    return {path.name: records.file_sha256(path) for path in paths if path.is_file()}


def _link_all(folder: pathlib.Path, out: pathlib.Path) -> None:
    """Take over a finished data folder, without a second copy where the disk is the same."""
    info = records.DatasetInfo.read(folder)
    info.verify(folder)
    left_out = {f"Split-{split}" for split in info.counts}  # of another chain's ExampleGen
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and name.parts[0] not in left_out:
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            _link(path, out / name)
    if not (out / records.SCHEMA_FILE).is_file():
        raise UserError(f"Expected a data folder with a schema; received {folder}.")


def _link(path: pathlib.Path, new: pathlib.Path) -> None:
    try:
        os.link(path, new)
    except OSError:  # another disk, or one that has no links
        shutil.copyfile(path, new)
