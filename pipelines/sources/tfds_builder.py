"""Finding a TensorFlow Datasets data set, and preparing it from what is here or the web."""

import contextlib
import difflib
import hashlib
import io
import pathlib
import sys
from typing import Any

from absl import logging

from keras_gan.interfaces import UserError
from pipelines.options import Options

# The original files of these data sets come with this package.
EMBEDDED = pathlib.Path(__file__).parent.parent / "originals"


def find(dataset: str, data_dir: str | None) -> Any:
    """Find a data set by its name; it need not be prepared.

    Raises:
        UserError: if there is none of that name.
    """
    import tensorflow_datasets as tfds

    try:
        return tfds.builder(dataset, data_dir=data_dir, try_gcs=False)
    except tfds.core.DatasetNotFoundError:
        name = dataset.partition("/")[0].partition(":")[0]
        near = difflib.get_close_matches(
            name, tfds.list_builders(with_community_datasets=False), n=3
        )
        raise UserError(
            "Expected --dataset to be mnist, cifar10 or any other image data set of TensorFlow "
            f"Datasets; received {name!r}."
            + (f" Did you mean {' or '.join(near)}?" if near else "")
        ) from None
    except (ValueError, KeyError, AssertionError) as error:
        raise UserError(
            f"Expected --dataset as NAME, NAME/CONFIG or NAME:VERSION; received {dataset!r}: "
            f"{error}"
        ) from None


def prepare(builder: Any, options: Options) -> Any:
    """Build a data set from files that are here, or download them; fail at once if not.

    Returns:
        The prepared builder: another one if the files are not those that TFDS knows.
    """
    import requests
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError
    from tensorflow_datasets.core.download.util import DownloadError

    manual_dir = options.manual_dir
    folder = pathlib.Path(manual_dir) if manual_dir else EMBEDDED / builder.name
    expected = {
        url: info.filename for url, info in (builder.url_infos or {}).items() if info.filename
    }
    missing = {url: name for url, name in expected.items() if not (folder / name).is_file()}
    if missing or not expected:
        _expect_network(builder, missing, folder if manual_dir else None)
    elif manual_dir:
        builder = _trust(builder, folder, options)
        if builder.is_prepared():
            return builder
    logging.info(
        "Preparing %s with TensorFlow Datasets in %s", builder.info.full_name, builder.data_dir
    )
    root = pathlib.Path(builder.data_dir_root)
    config = tfds.download.DownloadConfig(
        manual_dir=folder if folder.is_dir() else None,
        # Data sets that share file names would corrupt each other in one folder.
        extract_dir=root / "extracted" / builder.name,
        try_download_gcs=False,
    )
    local = bool(expected) and not missing
    if local:
        tfds.disable_progress_bar()
    try:
        # TFDS prints what it downloads. A command's output is its result alone.
        with contextlib.redirect_stdout(io.StringIO() if local else sys.stderr):
            builder.download_and_prepare(download_dir=root / "downloads", download_config=config)
    except (
        AssertionError,
        DownloadError,
        NonMatchingChecksumError,
        requests.RequestException,
    ) as error:
        raise UserError(f"TensorFlow Datasets could not prepare {builder.name}: {error}") from error
    return builder


def _expect_network(builder: Any, missing: dict[str, str], folder: pathlib.Path | None) -> None:
    """Fail at once, naming the files, where TFDS would try again for minutes."""
    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS and not missing:
        if folder is not None:
            return
        raise UserError(
            f"Expected the files of {builder.name} in --manual_dir: "
            f"{' '.join(builder.MANUAL_DOWNLOAD_INSTRUCTIONS.split())}"
        )
    import requests

    url = next(iter(missing), "https://storage.googleapis.com")
    try:
        # Any answer, even a refusal, shows that the network is there.
        requests.head(url, timeout=5, allow_redirects=False)
    except requests.RequestException:
        names = ", ".join(missing.values()) or "its original files"
        place = f"{folder} holds none of them" if folder else "no --manual_dir was given"
        if folder and any(folder.iterdir()):
            place = f"they are not in {folder}"
        raise UserError(
            f"Expected {builder.name} prepared in {builder.data_dir_root}, or its original files, "
            f"or the network; there is no network, and {place}. Missing: {names}. Try "
            "putting them into one folder and --manual_dir=FOLDER, or --data_dir=FOLDER for a "
            "prepared copy."
        ) from None


def _trust(builder: Any, folder: pathlib.Path, options: Options) -> Any:
    """Let TFDS take the user's own files; where they are not the ones it knows, keep them apart.

    Returns:
        The builder, or one that prepares in a folder named after the files' content.
    """
    from tensorflow_datasets.core.download import checksums

    foreign = {}
    for url, known in builder.url_infos.items():
        found = checksums.compute_url_info(folder / known.filename)
        if found.checksum != known.checksum:
            foreign[url] = checksums.UrlInfo(
                size=found.size, checksum=found.checksum, filename=known.filename
            )
    if not foreign:
        return builder
    digest = hashlib.sha256("".join(sorted(f.checksum for f in foreign.values())).encode())
    root = pathlib.Path(builder.data_dir_root) / f"own-{digest.hexdigest()[:8]}"
    logging.warning(
        "%s: %s is not byte for byte what TensorFlow Datasets knows. It is used because "
        "--manual_dir names it, and prepared apart, in %s.",
        folder,
        ", ".join(sorted(str(info.filename) for info in foreign.values())),
        root,
    )
    root.mkdir(parents=True, exist_ok=True)
    builder = find(options.dataset, str(root))
    builder.url_infos.update(foreign)
    return builder
