"""The lineage store: what was made, by which execution, from what; in ML Metadata's words.

One SQLite file. Each change is one transaction in SQLite's own journal, so that a process that is
killed at any moment leaves the store as it was before or after one. An execution is RUNNING, then
COMPLETE, FAILED or CANCELED (asked to end, and may go on); one whose result was there already is
CACHED. Artifacts are LIVE, or DELETED if what they name is no longer what it was.
"""

import contextlib
import json
import os
import pathlib
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from keras_gan.interfaces import UserError

FILE = "metadata.sqlite"
FORMAT_VERSION = 1
TABLES = """
CREATE TABLE artifacts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    type TEXT NOT NULL,        -- Examples, ExampleStatistics, Schema, Model, ...
    uri TEXT NOT NULL,         -- below the root if it is relative
    state TEXT NOT NULL,
    hash TEXT NOT NULL,        -- of the content
    properties TEXT NOT NULL,  -- JSON
    created REAL NOT NULL      -- seconds since 1970
);
CREATE TABLE executions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    type TEXT NOT NULL,        -- the component's name
    state TEXT NOT NULL,
    key TEXT NOT NULL,         -- hash of all that decides the result
    properties TEXT NOT NULL,
    started REAL NOT NULL,
    finished REAL
);
CREATE TABLE events (
    execution_id INTEGER NOT NULL REFERENCES executions (id),
    artifact_id INTEGER NOT NULL REFERENCES artifacts (id),
    type TEXT NOT NULL,        -- INPUT or OUTPUT
    name TEXT NOT NULL,        -- the input's or output's key
    created REAL NOT NULL
);
CREATE INDEX executions_by_key ON executions (type, key);
CREATE INDEX events_by_execution ON events (execution_id);
CREATE INDEX events_by_artifact ON events (artifact_id);
"""


class Artifact(NamedTuple):
    """Something that was made or imported.

    Args:
        id: in the store.
        type: as TFX calls it: Examples, Model, ...
        path: where it is.
        hash: of its content.
        properties: what is known of it.
    """

    id: int
    type: str
    path: pathlib.Path
    hash: str
    properties: dict[str, Any]


class Store:
    """The store of one root folder; it is made if it is not there.

    Args:
        root: the chain's folder.
        readonly: whether to only look.

    Raises:
        UserError: if the file is no store of this format.
    """

    def __init__(self, root: str | os.PathLike[str], *, readonly: bool = False):
        self.root = pathlib.Path(root).resolve()
        self.path = self.root / FILE
        mode = "ro" if readonly else "rwc"
        try:
            self._db = sqlite3.connect(f"{self.path.as_uri()}?mode={mode}", uri=True)
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA synchronous = FULL")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0 and not readonly:
                self._db.executescript(
                    f"BEGIN; {TABLES} PRAGMA user_version = {FORMAT_VERSION}; COMMIT;"
                )
                version = FORMAT_VERSION
        except sqlite3.Error as error:
            raise UserError(
                f"Expected a lineage store; received {self.path}, which cannot be read: {error}."
            ) from error
        if version != FORMAT_VERSION:
            raise UserError(
                f"Expected a lineage store of format {FORMAT_VERSION}; received {self.path} of "
                f"format {version}. Try another --root."
            )

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def abandon(self) -> list[int]:
        """Call what runs FAILED: whoever ran it was killed. Return these executions."""
        with self._db:
            rows = self._db.execute(
                "SELECT id, properties FROM executions WHERE state = 'RUNNING'"
            ).fetchall()
            for row in rows:
                self._end(row["id"], "FAILED", {"error": "It was killed."})
        return [row["id"] for row in rows]

    def import_artifact(self, kind: str, path: pathlib.Path, digest: str) -> Artifact:
        """Register something that no execution made, once for each content of it."""
        with self._db:
            row = self._db.execute(
                "SELECT * FROM artifacts WHERE type = ? AND uri = ? AND hash = ?",
                (kind, self._uri(path), digest),
            ).fetchone()
            return self._artifact(row) if row else self._add(kind, path, digest, {})

    def begin(
        self,
        step: str,
        key: str,
        inputs: Mapping[str, Artifact],
        properties: dict[str, Any],
    ) -> int:
        """Write down that a step runs, and what it reads; return the execution's number."""
        with self._db:
            execution = self._db.execute(
                "INSERT INTO executions (type, state, key, properties, started) "
                "VALUES (?, 'RUNNING', ?, ?, ?)",
                (step, key, json.dumps(properties), time.time()),
            ).lastrowid
            assert execution is not None
            self._connect(execution, "INPUT", inputs)
        return execution

    def finish(
        self,
        execution: int,
        key: str,
        outputs: Mapping[str, tuple[str, pathlib.Path, str, dict[str, Any]]],
    ) -> dict[str, Artifact]:
        """Write down, all at once, that an execution is COMPLETE and what it made.

        Args:
            execution: its number.
            key: what it can be found by; empty if it shall not be.
            outputs: output key -> (type, path, hash, properties).
        """
        with self._db:
            made = {name: self._add(*described) for name, described in outputs.items()}
            self._connect(execution, "OUTPUT", made)
            self._db.execute("UPDATE executions SET key = ? WHERE id = ?", (key, execution))
            self._end(execution, "COMPLETE", {})
        return made

    def fail(self, execution: int, state: str, error: str) -> None:
        """Write down that an execution is FAILED or CANCELED, and why."""
        with self._db:
            self._end(execution, state, {"error": error})

    def record_cached(
        self,
        step: str,
        key: str,
        inputs: Mapping[str, Artifact],
        outputs: Mapping[str, Artifact],
        properties: dict[str, Any],
    ) -> None:
        """Write down that a step's result was there already."""
        now = time.time()
        with self._db:
            execution = self._db.execute(
                "INSERT INTO executions (type, state, key, properties, started, finished) "
                "VALUES (?, 'CACHED', ?, ?, ?, ?)",
                (step, key, json.dumps(properties), now, now),
            ).lastrowid
            assert execution is not None
            self._connect(execution, "INPUT", inputs)
            self._connect(execution, "OUTPUT", outputs)

    def complete(self, step: str, key: str) -> Iterator[dict[str, Artifact]]:
        """Yield the outputs of executions of a step that had this key, the newest first."""
        rows = self._db.execute(
            "SELECT id FROM executions WHERE type = ? AND key = ? AND state = 'COMPLETE' "
            "ORDER BY id DESC",
            (step, key),
        ).fetchall()
        for row in rows:
            outputs = self._connected(row["id"], "OUTPUT")
            if all(state == "LIVE" for state, _ in outputs.values()):
                yield {name: artifact for name, (_, artifact) in outputs.items()}

    def last_state(self, step: str, key: str) -> str:
        """Return the state of the newest execution with this key; empty if there is none."""
        row = self._db.execute(
            "SELECT state FROM executions WHERE type = ? AND key = ? ORDER BY id DESC LIMIT 1",
            (step, key),
        ).fetchone()
        return row["state"] if row else ""

    def mark_deleted(self, artifact: Artifact) -> None:
        """Write down that an artifact is no longer what it was."""
        with self._db:
            self._db.execute("UPDATE artifacts SET state = 'DELETED' WHERE id = ?", (artifact.id,))

    def trace(self, artifacts: Iterable[int]) -> list[dict[str, Any]]:
        """List the executions that artifacts come from, directly or through others, in order."""
        found: dict[int, dict[str, Any]] = {}
        waiting = list(artifacts)
        while waiting:
            row = self._db.execute(
                "SELECT executions.* FROM executions JOIN events ON execution_id = executions.id "
                "WHERE artifact_id = ? AND events.type = 'OUTPUT' AND state != 'CACHED'",
                (waiting.pop(),),
            ).fetchone()
            if row is None or row["id"] in found:  # imported, or known
                continue
            found[row["id"]] = self.describe(row["id"])
            waiting += [one.id for _, one in self._connected(row["id"], "INPUT").values()]
        return [found[number] for number in sorted(found)]

    def describe(self, execution: int) -> dict[str, Any]:
        """Say what is known of an execution, as JSON can hold it."""
        row = self._db.execute("SELECT * FROM executions WHERE id = ?", (execution,)).fetchone()
        if row is None:
            return {}

        def listed(kind: str) -> dict[str, Any]:
            return {
                name: {
                    "id": artifact.id,
                    "type": artifact.type,
                    "uri": self._uri(artifact.path),
                    "hash": artifact.hash,
                    **({"properties": artifact.properties} if artifact.properties else {}),
                }
                for name, (_, artifact) in self._connected(execution, kind).items()
            }

        return {
            "id": row["id"],
            "component": row["type"],
            "state": row["state"],
            "started": row["started"],
            "seconds": round((row["finished"] or time.time()) - row["started"], 3),
            **json.loads(row["properties"]),
            "inputs": listed("INPUT"),
            "outputs": listed("OUTPUT"),
        }

    def _add(
        self, kind: str, path: pathlib.Path, digest: str, properties: dict[str, Any]
    ) -> Artifact:
        number = self._db.execute(
            "INSERT INTO artifacts (type, uri, state, hash, properties, created) "
            "VALUES (?, ?, 'LIVE', ?, ?, ?)",
            (kind, self._uri(path), digest, json.dumps(properties), time.time()),
        ).lastrowid
        assert number is not None
        return Artifact(number, kind, path, digest, properties)

    def _connect(self, execution: int, kind: str, artifacts: Mapping[str, Artifact]) -> None:
        self._db.executemany(
            "INSERT INTO events VALUES (?, ?, ?, ?, ?)",
            [(execution, a.id, kind, name, time.time()) for name, a in artifacts.items()],
        )

    def _connected(self, execution: int, kind: str) -> dict[str, tuple[str, Artifact]]:
        rows = self._db.execute(
            "SELECT artifacts.*, name FROM artifacts JOIN events ON artifact_id = artifacts.id "
            "WHERE execution_id = ? AND events.type = ? ORDER BY events.rowid",
            (execution, kind),
        ).fetchall()
        return {row["name"]: (row["state"], self._artifact(row)) for row in rows}

    def _end(self, execution: int, state: str, more: dict[str, Any]) -> None:
        row = self._db.execute(
            "SELECT properties FROM executions WHERE id = ?", (execution,)
        ).fetchone()
        properties = {**json.loads(row["properties"]), **more}
        self._db.execute(
            "UPDATE executions SET state = ?, properties = ?, finished = ? WHERE id = ?",
            (state, json.dumps(properties), time.time(), execution),
        )

    def _artifact(self, row: sqlite3.Row) -> Artifact:
        path = self.root / row["uri"]  # an absolute one stays as it is
        return Artifact(row["id"], row["type"], path, row["hash"], json.loads(row["properties"]))

    def _uri(self, path: pathlib.Path) -> str:
        path = path.resolve()
        with contextlib.suppress(ValueError):
            return path.relative_to(self.root).as_posix()
        return str(path)
