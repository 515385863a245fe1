"""StatisticsGen: each split's statistics, which the Beam pass that wrote the records gathered."""

import shutil

from keras_gan import records
from pipelines.components.component import Outcome, Work


def run(work: Work) -> Outcome:
    """Copy them: they are a few kilobytes, and a second pass would count the same again."""
    examples, out = work.inputs["examples"], work.outputs["statistics"]
    info = records.DatasetInfo.read(examples)
    info.verify(examples)
    for split in info.counts:
        (out / f"Split-{split}").mkdir()
        name = records.split_statistics(split)
        shutil.copyfile(examples / name, out / f"Split-{split}" / "FeatureStats.pb")
    return Outcome({"split_names": list(info.counts)})
