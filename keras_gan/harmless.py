"""What an export's graph may do when it is loaded or asked: compute, and nothing else.

A SavedModel is a program: its graph can read and write files, open connections, call Python. What
keras_gan exports does none of it, so that whatever does is refused before it is loaded.
"""

import os
import pathlib
import re
from collections.abc import Iterable, Iterator
from typing import Any

from keras_gan import messages
from keras_gan.interfaces import UserError

# TensorFlow's registry says which operations have a state, that is, an effect or another input than
# their inputs. These are the only ones of them that an export needs, or a user's layers might.
STATEFUL = frozenset(
    (
        *("Assert", "If", "While", "StatefulPartitionedCall", "VarHandleOp", "ReadVariableOp"),
        *("RandomUniform", "RandomUniformInt", "RandomStandardNormal", "TruncatedNormal"),
    )
)
# And what has none by the registry, but reaches out of the graph all the same.
REACHING_OUT = re.compile(
    "File|Dataset|Save|Restore|Print|Debug|Py|Rpc|Summary|Table|Queue|Reader|Record|Immutable|"
    "Send|Recv|Checkpoint|Iterator|Remote"
)
RESTORING = frozenset(("RestoreV2", "AssignVariableOp"))  # for the values of variables, at loading
# Methods of objects that TensorFlow's Python calls when it loads them.
CALLED_AT_LOADING = frozenset(("_create_resource", "_initialize", "_destroy_resource"))


def read(folder: str | os.PathLike[str]) -> Any:
    """Read a version's SavedModel message.

    Raises:
        UserError: if there is none.
    """
    file = pathlib.Path(folder) / "saved_model.pb"
    if not file.is_file():
        raise UserError(
            f"Expected an export, with saved_model.pb in it; received {folder}. Try one version's "
            "folder, as in saved_models/mnist/1."
        )
    try:
        model = messages.SavedModel.FromString(file.read_bytes())
    except messages.DecodeError as error:
        raise UserError(f"Expected {file} to be a SavedModel; received: {error}") from error
    if not model.meta_graphs:
        raise UserError(f"Expected {file} to be a SavedModel; received one without a graph.")
    return model


def expect_harmless(folder: str | os.PathLike[str], stateful: frozenset[str]) -> None:
    """Refuse a graph that does more than compute, when it is loaded or asked.

    Args:
        folder: of a version.
        stateful: the names of TensorFlow's operations that have a state.

    Raises:
        UserError: naming what it would do; nothing of it was run.
    """
    for meta in read(folder).meta_graphs:
        collections = meta.collection_def
        at_start = [name for each in collections.values() for name in each.node_list.value]
        asked = [
            info.name
            for signature in meta.signature_def.values()
            for info in (*signature.inputs.values(), *signature.outputs.values())
        ]
        # TensorFlow's Python finds its functions by the objects, a server by the signatures.
        objects = meta.object_graph_def
        functions = [
            *objects.concrete_functions,
            *(name for node in objects.nodes for name in node.function.concrete_functions),
            *(node.bare_concrete_function.concrete_function_name for node in objects.nodes),
        ]
        restore = [meta.saver_def.restore_op_name] if meta.saver_def.restore_op_name else []
        found = set(_forbidden(_reached(meta.graph_def, [*at_start, *asked], functions), stateful))
        found |= set(_forbidden(_reached(meta.graph_def, restore), stateful)) - RESTORING
        found |= {f"the collection {name}" for name in set(collections) - {"saved_model_main_op"}}
        children = {child.local_name for node in objects.nodes for child in node.children}
        found |= {f"an object's {name}" for name in children & CALLED_AT_LOADING}
        if found:
            raise UserError(
                f"Expected an export that only computes; received {folder} with "
                f"{', '.join(sorted(found))}. Nothing of it was run. Try to learn who made it."
            )


def _forbidden(operations: Iterable[str], stateful: frozenset[str]) -> Iterator[str]:
    for name in operations:
        if name not in STATEFUL and (name in stateful or REACHING_OUT.search(name)):
            yield name


def _reached(graph: Any, names: Iterable[str], called: Iterable[str] = ()) -> set[str]:
    """List the operations that run for some tensors, nodes or functions, whole bodies with them."""
    nodes = {node.name: node for node in graph.node}
    bodies = {function.signature.name: function.node_def for function in graph.library.function}
    operations: set[str] = set()
    seen: set[str] = set()
    waiting = [_node(name) for name in names]
    functions = list(called)
    while waiting:
        name = waiting.pop()
        if name in seen or name not in nodes:
            continue
        seen.add(name)
        operations.add(nodes[name].op)
        functions += _called(nodes[name])
        waiting += [_node(each) for each in nodes[name].input]
    entered: set[str] = set()
    while functions:
        name = functions.pop()
        if name in entered:
            continue
        entered.add(name)
        for node in bodies.get(name, ()):
            operations.add(node.op)
            functions += _called(node)
    # A function may also be called as if it were an operation.
    if operations & set(bodies) - entered:
        operations |= {node.op for name in bodies for node in bodies[name]}
    return operations - set(bodies)


def _node(name: str) -> str:
    """Name the node of a tensor ("x:0") or of a control input ("^x")."""
    return name.lstrip("^").partition(":")[0]


def _called(node: Any) -> list[str]:
    """List the functions that a node's attributes name."""
    names = []
    for attribute in node.attr.values():
        names += [attribute.func.name, *(each.name for each in attribute.list.func)]
    return [name for name in names if name]
