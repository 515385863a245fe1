"""Imports point downwards only; the syntax trees prove it."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
CLIS = {
    "train",
    "evaluate",
    "classify",
    "sample",
    "figures",
    "theory",
    "export_model",
    "loader",
    "verify_model",
    "runs",
    "report",
    "infer",
    "reconstruct",
    "inpaint",
}
LAYERS = [
    {"version", "interfaces", "files", "cli", "published"},
    {"images", "masks", "records", "overrides", "config", "recipes", "densities", "messages"},
    {"few_labels"},
    {"card", "harmless", "servable", "transports", "history", "workdir"},
    {"client", "charts", "facts"},
    {"curves"},
    {"pages"},
    {"conditions"},
    {"losses", "priors", "scales", "networks", "optimizers"},
    {"replicas", "each_alone"},
    {"averages", "coordination", "encoding", "pair", "serialization"},
    {"gan", "conditionals", "semi_supervised"},
    {"inference", "building"},
    {
        "data",
        "labelled",
        "metrics",
        "summaries",
        "export",
        "exported",
        "signatures",
        "checkpoints",
        "distribution",
    },
    {"callbacks"},
    {"monitors", "toy", "guards", "diagnosis", "profiling"},
    {"plots", "probe"},
    {"pictures"},
    {"loop", "beside", "endings"},
    {"encoders"},
    {"trained"},
    {"experiment"},
    {"evaluation", "class_evaluation", "classification", "inpainting_evaluation"},
    CLIS,
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
PIPELINES_MAY_USE = {
    "card",
    "version",
    "interfaces",
    "files",
    "cli",
    "images",
    "records",
    "config",
    "overrides",
    "recipes",
}
CHAIN = {  # what trains, judges and pushes, besides preparing data
    ROOT / "pipelines" / "run.py",
    ROOT / "pipelines" / "lineage.py",
    *ROOT.glob("pipelines/components/*.py"),
}
FILES = sorted(ROOT.glob("keras_gan/**/*.py")) + sorted(ROOT.glob("pipelines/**/*.py"))


def imported(path):
    """Yield (dotted name, whether it is imported at the module's top level)."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            yield name, node in tree.body


def module_of(path):
    return path.relative_to(ROOT / "keras_gan").parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_downwards(path):
    own = path.relative_to(ROOT).parts[0]
    if path == ROOT / "keras_gan" / "__init__.py":
        return
    for name, _ in imported(path):
        package, _, rest = name.partition(".")
        other = rest.partition(".")[0]
        if package == "keras_gan" and own == "pipelines" and path not in CHAIN:
            assert other in PIPELINES_MAY_USE, f"{path} imports {name}"
        elif package == "keras_gan" and own == "keras_gan":
            assert LEVEL[other] <= LEVEL[module_of(path)], f"{path} imports {name}"
        elif package in ("apache_beam", "pipelines") and own == "keras_gan":
            assert package == "pipelines", f"{path} imports {name}"
            assert module_of(path) in CLIS, f"{path} imports {name}"


PIPELINES_LIGHT = {
    "__init__.py",
    "options.py",
    "preprocess.py",
    "storage.py",
    "verify.py",
    "source.py",
    "folder.py",
    "arrays.py",
    "tfds.py",
    "tfds_builder.py",
    "run.py",
    "lineage.py",
    "chain.py",
    "steps.py",
    "metadata.py",
    "hashes.py",
    "pushed.py",
    "component.py",
}
LIGHT = {
    "messages",
    "card",
    "servable",
    "interfaces",
    "files",
    "cli",
    "images",
    "masks",
    "records",
    "overrides",
    "config",
    "few_labels",
    "recipes",
    "workdir",
    "published",
    "history",
    "charts",
    "facts",
    "curves",
    "pages",
    *CLIS,
}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_flags_are_parsed_before_anything_heavy_is_imported(path):
    own = path.relative_to(ROOT).parts[0]
    light = path.name in PIPELINES_LIGHT if own == "pipelines" else module_of(path) in LIGHT
    heavy = {"tensorflow", "keras", "apache_beam", "tensorflow_datasets", "scipy"}
    for name, at_top in imported(path):
        if light and at_top:
            assert name.partition(".")[0] not in heavy, f"{path} imports {name}"


def test_every_module_has_a_level():
    modules = {module_of(path) for path in FILES if path.is_relative_to(ROOT / "keras_gan")}
    assert modules - {"__init__"} == set(LEVEL)
