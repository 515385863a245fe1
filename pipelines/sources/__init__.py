"""Sources of images: one reader for each kind, one file each; `open_source` chooses.

A source is plain data, so that Beam can send it to any worker:
    name          what it is called
    image_shape   (H, W, C) that every image is brought to
    classes       class names in label order
    splits        images of each of our splits: "train", "validation", "test"
    fingerprint   what tells whether the source has changed
    names         the images' names in each split, where the source has them
    describe()    where the images come from, for `dataset_info.json`
    read(block)   chunks of images, in the source's order
"""

from typing import Any

from keras_gan.interfaces import UserError
from pipelines.options import Options
from pipelines.sources.source import Source

KINDS = ("dataset", "images", "arrays")


def open_source(options: Options) -> Source:
    """Find what the options name.

    Raises:
        UserError: if it is not there, cannot be had, or has no images.
    """
    return _module(options).open_source(options)


def fingerprint(options: Options) -> str:
    """Hash what tells whether the source has changed, without reading its images."""
    return _module(options).fingerprint(options)


def _module(options: Options) -> Any:
    """Import the reader of the options' kind of source, and no other."""
    if options.images:
        from pipelines.sources import folder

        return folder
    if options.arrays:
        from pipelines.sources import arrays

        return arrays
    if options.dataset:
        from pipelines.sources import tfds

        return tfds
    raise UserError(
        f"Expected one of {', '.join('--' + kind for kind in KINDS)}; received none. Try --help."
    )
