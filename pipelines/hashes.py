"""What identifies files, values and code: their content, never their names or dates."""

import ast
import functools
import hashlib
import importlib.metadata
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

PROJECT = pathlib.Path(__file__).resolve().parent.parent
OWN = ("keras_gan", "pipelines")
NOT_SERVED = "assets.extra"  # what TensorFlow Serving leaves alone, and a push writes anew

# Import name -> package, of what decides a step's result besides our own code.
DECIDING = {
    "PIL": "pillow",
    "apache_beam": "apache-beam",
    "keras": "keras",
    "numpy": "numpy",
    "scipy": "scipy",
    "tensorflow": "tensorflow",
    "tensorflow_datasets": "tensorflow-datasets",
    "tensorflow_metadata": "tensorflow-metadata",
}


def of_value(value: Any) -> str:
    """Hash what JSON can hold."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def of_folder(folder: str | os.PathLike[str], *, without: str = "") -> str:
    """Hash a folder: the names and contents of all files in it.

    Args:
        folder: which; one that is not there has the hash of an empty one.
        without: the name of a folder in it to leave out.
    """
    folder = pathlib.Path(folder)
    known: dict[tuple[int, int], str] = {}  # a file of two names is read once
    lines = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and name.parts[0] != without:
            status = path.stat()
            inode = (status.st_dev, status.st_ino)
            if inode not in known:
                with path.open("rb") as file:
                    known[inode] = hashlib.file_digest(file, "sha256").hexdigest()
            lines.append(f"{name.as_posix()} {known[inode]}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def of_model(folder: str | os.PathLike[str]) -> str:
    """Hash what is served of an exported model; it is the same before and after a push."""
    return of_folder(folder, without=NOT_SERVED)


@functools.cache
def of_code(module: str) -> tuple[str, dict[str, str]]:
    """Hash a module and every file of ours that it imports, directly or through another.

    The syntax trees say which these are, so that there is no list to keep: a change of a file
    makes those steps run again that use it, and no others.

    Args:
        module: its dotted name.

    Returns:
        (hash of the files, versions of the packages that they import and that decide results).
    """
    files: dict[str, str] = {}
    packages: set[str] = set()
    waiting = [module]
    while waiting:
        for path in _files_of(waiting.pop()):
            name = path.relative_to(PROJECT).as_posix()
            if name in files:
                continue
            files[name] = hashlib.sha256(path.read_bytes()).hexdigest()
            for imported in _imports(path):
                if imported.partition(".")[0] in OWN:
                    waiting.append(imported)
                packages.add(imported.partition(".")[0])
    versions = {
        DECIDING[name]: importlib.metadata.version(DECIDING[name])
        for name in sorted(packages & set(DECIDING))
    }
    return of_value(files), versions


def _files_of(dotted: str) -> Iterator[pathlib.Path]:
    """Find the files that run when a dotted name is imported; its end may be a name in a file."""
    path = PROJECT
    for part in dotted.split("."):
        path = path / part
        for candidate in (path / "__init__.py", path.with_suffix(".py")):
            if candidate.is_file():
                yield candidate


def _imports(path: pathlib.Path) -> Iterator[str]:
    """Name what a file imports, at its top or later, but for what only type checkers read."""
    waiting: list[ast.AST] = [ast.parse(path.read_text())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        waiting += ast.iter_child_nodes(node)
