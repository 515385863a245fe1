"""The engine: steps in a row, each recorded, each run only if something it depends on changed.

A step's key is the hash of its name, its parameters, its code and the content of its inputs. If the
store knows a COMPLETE execution with this key, and what that made is still what it was, then the
step is cached. Else it runs: into folders that appear whole or not at all, which are recorded in
one transaction with the execution's end. So a chain that was killed, anywhere, goes on when it is
run again, from the first step that was not recorded.
"""

import contextlib
import dataclasses
import importlib
import os
import pathlib
import re
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from absl import logging

from keras_gan import cli, files
from keras_gan.interfaces import Preempted, Stopped, UserError
from pipelines import hashes
from pipelines.components.component import Outcome, Work
from pipelines.metadata import Artifact, Store

SCRATCH = "runs"  # below a component's folder: what is kept of a step that was killed


@dataclasses.dataclass(frozen=True)
class Step:
    """One step, as data; its function is `run` of `pipelines/components/NAME.py`.

    Args:
        name: TFX's component name.
        inputs: which earlier outputs it reads.
        outputs: output key -> artifact type.
        parameters: what decides its result besides the inputs, as JSON can hold it; asked for again
            after it ran, as preparing a data set may change what that is known by.
        arguments: what does not decide it: where things are.
        imports: finds what it reads that no step made, from its other inputs: input key -> (type,
            folder).
        refusal: what is raised if its outcome is not blessed.
        remembers_refusal: whether the same inputs would be refused again.
        elsewhere: whether its output is outside the chain's folder.
    """

    name: str
    inputs: tuple[str, ...] = ()
    outputs: dict[str, str] = dataclasses.field(default_factory=dict)
    parameters: Callable[[], dict[str, Any]] = dict
    arguments: dict[str, Any] = dataclasses.field(default_factory=dict)
    imports: Callable[[Mapping[str, Artifact]], dict[str, tuple[str, pathlib.Path]]] = (
        lambda inputs: {}
    )
    refusal: type[Exception] = Stopped
    remembers_refusal: bool = True
    elsewhere: bool = False

    @property
    def module(self) -> str:
        """The dotted name of the component's module."""
        return f"pipelines.components.{re.sub('(?<=[a-z])(?=[A-Z])', '_', self.name).lower()}"

    def key(self, inputs: Mapping[str, Artifact]) -> str:
        """Hash all that decides the result."""
        read = {name: artifact.hash for name, artifact in inputs.items()}
        return hashes.of_value([self.name, self.parameters(), read, hashes.of_code(self.module)])


class Done(NamedTuple):
    """A step that has its result.

    Args:
        name: of the step.
        seconds: that it ran; None if its result was there already.
        outputs: by their keys.
    """

    name: str
    seconds: float | None
    outputs: dict[str, Artifact]


class Chain:
    """Steps and the store that knows what they made.

    Args:
        root: the chain's folder.
        cache: whether results that are there already are used.
        facts: written down with each execution: the command, versions.
    """

    def __init__(self, root: str | os.PathLike[str], *, cache: bool = True, facts: dict[str, Any]):
        self.root = pathlib.Path(root)
        self.done: list[Done] = []
        self._cache, self._facts = cache, facts
        self._made: dict[str, Artifact] = {}

    def run(self, steps: Sequence[Step]) -> None:
        """Run them in order; `done` lists those that have their result.

        Raises:
            UserError: if another process runs a chain in this folder.
            Stopped: or the step's own refusal, with the reason, if an outcome is not blessed.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with self._alone():
            self.store = Store(self.root)
            try:
                self._clean(steps)
                for step in steps:
                    self._step(step)
            except sqlite3.Error as error:
                raise UserError(
                    f"Expected to be able to write {self.store.path}; received: {error}. The same "
                    "command goes on."
                ) from error
            finally:
                self.store.close()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        with contextlib.ExitStack() as leaving:
            try:
                leaving.enter_context(files.held(self.root))
            except BlockingIOError as error:
                raise UserError(
                    f"Expected a folder in which nothing runs; received --root={self.root}, in "
                    "which another chain does. Try again when it has ended, or another --root."
                ) from error
            yield

    def _clean(self, steps: Sequence[Step]) -> None:
        """Delete what killed runs were writing; nobody else writes here now."""
        dead = {str(number) for number in self.store.abandon()}
        for step in steps:
            for name in step.outputs:
                for path in (self.root / step.name / name).glob("*"):
                    if path.name in dead or path.name.startswith("."):
                        shutil.rmtree(path, ignore_errors=True)

    def _step(self, step: Step) -> None:
        inputs = {name: self._made[name] for name in step.inputs}
        for name, (kind, path) in step.imports(inputs).items():
            path = path.resolve()
            inputs[name] = self.store.import_artifact(kind, path, hashes.of_folder(path))
        key = step.key(inputs)
        outputs = self._known(step, key) if self._cache else None
        seconds = None
        if outputs is None:
            start = time.monotonic()
            logging.info("%s: running", step.name)
            outputs = self._execute(step, key, inputs)
            seconds = time.monotonic() - start
        else:
            logging.info("%s: cached", step.name)
            self.store.record_cached(step.name, key, inputs, outputs, self._facts)
        self._made |= outputs
        self.done.append(Done(step.name, seconds, outputs))
        for artifact in outputs.values():
            if not artifact.properties.get("blessed", 1):
                raise step.refusal(artifact.properties["reason"])

    def _known(self, step: Step, key: str) -> dict[str, Artifact] | None:
        """Find what was made with this key and is still what it was."""
        for outputs in self.store.complete(step.name, key):
            changed = [a for a in outputs.values() if hashes.of_folder(a.path) != a.hash]
            if not changed:
                return outputs
            for artifact in changed:
                self.store.mark_deleted(artifact)
                logging.warning("%s is no longer what was recorded: made again", artifact.path)
        return None

    def _execute(self, step: Step, key: str, inputs: dict[str, Artifact]) -> dict[str, Artifact]:
        scratch = self.root / step.name / SCRATCH / key[:16]
        if not self._cache and self.store.last_state(step.name, key) in ("COMPLETE", "CACHED"):
            shutil.rmtree(scratch, ignore_errors=True)  # asked for anew, and nothing to go on with
        digest, versions = hashes.of_code(step.module)
        facts = {
            **self._facts,
            "parameters": step.parameters(),
            "code": digest,
            "versions": {**self._facts.get("versions", {}), **versions},
        }
        execution = self.store.begin(step.name, key, inputs, facts)
        try:
            outcome, places = self._make(step, execution, inputs, scratch)
            blessed = outcome.properties.get("blessed", 1)
            found_by = step.key(inputs) if blessed or step.remembers_refusal else ""
            return self.store.finish(
                execution,
                found_by,
                {
                    name: (kind, places[name], hashes.of_folder(places[name]), outcome.properties)
                    for name, kind in step.outputs.items()
                },
            )
        except (Preempted, KeyboardInterrupt) as error:
            self.store.fail(execution, "CANCELED", str(error))
            raise
        except BaseException as error:
            self.store.fail(execution, "FAILED", f"{type(error).__name__}: {error}")
            raise

    def _make(
        self,
        step: Step,
        execution: int,
        inputs: dict[str, Artifact],
        scratch: pathlib.Path,
    ) -> tuple[Outcome, dict[str, pathlib.Path]]:
        """Call the component; return what it says and where its outputs are."""
        cli.import_tensorflow()  # only now: a chain of which all is there takes no time
        component = importlib.import_module(step.module)
        places = {name: self.root / step.name / name / str(execution) for name in step.outputs}
        with contextlib.ExitStack() as leaving:
            work = Work(
                inputs={name: artifact.path for name, artifact in inputs.items()},
                outputs={
                    name: leaving.enter_context(files.new_folder(place))
                    for name, place in places.items()
                    if not step.elsewhere
                },
                parameters=step.parameters(),
                arguments=step.arguments,
                scratch=scratch,
                properties={name: artifact.properties for name, artifact in inputs.items()},
                lineage=lambda: self._lineage(execution),
            )
            outcome: Outcome = component.run(work)
        if outcome.place is not None:
            places = dict.fromkeys(step.outputs, outcome.place)
        return outcome, places

    def _lineage(self, execution: int) -> dict[str, Any]:
        """Say how all was made so far, for whom the store is out of reach."""
        return {
            "store": str(self.store.path),
            "execution": execution,
            "pushed": time.time(),
            **self._facts,
            "steps": self.store.trace(artifact.id for artifact in self._made.values()),
        }
