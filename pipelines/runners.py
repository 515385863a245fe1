"""Which Beam runner does the work, and what is done when its workers do not."""

import argparse
import contextlib
import difflib
import logging as standard_logging
import pathlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NoReturn

import apache_beam as beam
import grpc
from absl import logging
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from keras_gan.interfaces import UserError
from pipelines import progress, storage
from pipelines import work as work_folder

# Beam's DirectRunner would first look for another runner on the web.
IN_PROCESS = ("", "direct", "switchingdirect", "bundlebaseddirect", "fnapi")
SERVED = ("portable", "flink", "portableflink", "spark", "portablespark")
ATTEMPTS = 3
POLL_SECONDS = 0.5
SERVICE_SECONDS = 20  # for a job service or a worker pool to answer
DASK_PARTITIONS = 16


class WorkersLostError(RuntimeError):
    """Workers died or stand still; what they had done is in the work folder."""


def run(
    build: Callable[[beam.Pipeline], Any],
    folder: str,
    images: int,
    beam_flags: Sequence[str] = (),
    patience: float = 60.0,
) -> None:
    """Run a pipeline to its end, with a progress line.

    Where workers are other processes, no runner here starts a job again that lost one, and some
    wait for ever: so a job without progress is given up, and tried again from the work folder.

    Args:
        build: adds the steps.
        folder: the data folder, whose work folder says how far it is.
        images: how many there are.
        beam_flags: Apache Beam's own flags; without any the work is done in this process.
        patience: seconds without progress before other processes are given up; 0 for no end.

    Raises:
        UserError: if workers cannot be reached, or do not start.
    """
    _load_options(beam_flags)
    options = PipelineOptions(list(beam_flags))
    values = options.get_all_options()
    if "dask_npartitions" in values and not values["dask_partition_size"]:
        # Beam's own default leaves small sets to one worker.
        options = PipelineOptions([f"--dask_npartitions={DASK_PARTITIONS}", *beam_flags])
    kind = _kind(values.get("runner"))
    runner = _runner(values.get("runner") or "")
    if not storage.is_remote(folder):
        pathlib.Path(work_folder.in_work(folder)).mkdir(parents=True, exist_ok=True)
    with progress.shown(folder, images), _silent("apache_beam"):
        if kind in IN_PROCESS and values["direct_running_mode"] != "multi_processing":
            patience = 0.0
        _expect_services(values)
        for attempt in range(1, ATTEMPTS + 1):
            pipeline = beam.Pipeline(runner=runner, options=options)
            build(pipeline)
            try:
                _run_watched(pipeline, folder, patience)
                return
            except WorkersLostError as error:
                if attempt == ATTEMPTS or not progress.count(folder, "read"):
                    raise UserError(
                        f"Expected workers that do the work; received {error}. Try looking at "
                        "their logs, other flags for --runner, or a longer --patience."
                    ) from error
                logging.warning("Workers were lost (%s); going on with what they had done", error)


def _runner(name: str) -> Any:
    """Make a runner from its name."""
    if _kind(name) in IN_PROCESS:
        return FnApiRunner()
    if _kind(name) == "dask":  # which Beam does not know by this name
        from apache_beam.runners.dask.dask_runner import DaskRunner

        return DaskRunner()
    try:
        return beam.runners.create_runner(name)
    except (ValueError, ImportError, AttributeError) as error:
        raise UserError(f"Expected a runner of Apache Beam; received {name!r}: {error}") from error


def _run_watched(pipeline: beam.Pipeline, folder: str, patience: float) -> None:
    """Run a pipeline in a thread, and give it up when nothing happens for too long."""
    results: list[Any] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(pipeline.run())
            results[0].wait_until_finish()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    visible = patience > 0 and not storage.is_remote(folder)
    seen, since = -1, time.monotonic()
    try:
        while thread.is_alive():
            thread.join(POLL_SECONDS)
            if not visible:
                continue
            done = sum(progress.count(folder, stage) for stage in progress.STAGES)
            if done != seen:
                seen, since = done, time.monotonic()
            elif time.monotonic() - since > patience:
                with contextlib.suppress(Exception):
                    results[0].cancel()
                started = "no more progress" if seen else "no sign that any of them started"
                raise WorkersLostError(f"{started} for {patience:g} seconds")
    finally:
        client = getattr(results[0], "client", None) if results else None
        if client is not None:  # Dask's would replay an old error to the next job
            client.close()
    if errors:
        _explain(errors[0])


def _explain(error: BaseException) -> None:
    """Raise what a worker raised, which runners wrap in the text of its traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    if "Channel closed prematurely" in str(error):
        raise WorkersLostError("a worker process ended") from error
    if isinstance(error, UserError) or "UserError: " in lines[-1]:
        text = lines[-1].rpartition("UserError: ")[2]
        raise UserError(text.partition(" [while running")[0]) from error
    raise error


def _kind(name: str | None) -> str:
    """Reduce a runner's name to what Beam tells it by: FlinkRunner, flink and a.b.FlinkRunner."""
    return (name or "").rpartition(".")[2].lower().removesuffix("runner")


@contextlib.contextmanager
def _silent(name: str) -> Iterator[None]:
    """Keep a library's log quiet: what goes wrong there is raised as well."""
    logger = standard_logging.getLogger(name)
    level = logger.level
    logger.setLevel(standard_logging.CRITICAL)
    try:
        yield
    except KeyboardInterrupt:
        level = standard_logging.CRITICAL  # the work may go on failing until the process ends
        raise
    finally:
        logger.setLevel(level)


def _expect_services(values: dict[str, Any]) -> None:
    """Fail soon where a job service or a worker pool does not answer."""
    services = {"job_endpoint": values.get("job_endpoint")}
    if values.get("environment_type") == "EXTERNAL":
        services["environment_config"] = values.get("environment_config")
    for flag, address in services.items():
        if not address or address == "embed":
            continue
        with grpc.insecure_channel(address) as channel:
            try:
                grpc.channel_ready_future(channel).result(timeout=SERVICE_SECONDS)
            except grpc.FutureTimeoutError:
                raise UserError(
                    f"Expected somebody to answer at --{flag}; received nothing from {address} "
                    f"for {SERVICE_SECONDS} seconds. Try starting it first."
                ) from None


class _Parser(argparse.ArgumentParser):
    """Beam's flags, with mistakes as this project reports them."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing every flag."""
        raise UserError(f"Expected Beam's flags as Beam has them; received: {message}.")


def expect_possible(beam_flags: Sequence[str], own: Iterable[str] = ()) -> None:
    """Refuse flags that neither Beam nor this command knows, and runners that cannot work here.

    Args:
        beam_flags: what this command does not know.
        own: names of this command's flags.
    """
    _load_options(beam_flags)
    parser = _Parser(add_help=False, allow_abbrev=False)
    for options in PipelineOptions.__subclasses__():
        with contextlib.suppress(argparse.ArgumentError):
            options._add_argparse_args(parser)
    values, left = parser.parse_known_args(list(beam_flags))
    if left:
        name = left[0].partition("=")[0].lstrip("-")
        known = [*own, *(text.lstrip("-") for text in parser._option_string_actions)]
        near = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean --{near[0]}?" if near else ""
        raise UserError(
            f"Expected a flag of this command or of Apache Beam; received {left[0]!r}.{hint}"
        )
    runner = values.runner or ""
    served = values.job_endpoint or any(
        getattr(values, f"{kind}_job_server_jar", None) for kind in ("flink", "spark")
    )
    if _kind(runner) == "prism" or (_kind(runner) in SERVED and not served):
        raise UserError(
            "Expected a runner that is here already; received "
            f"--runner={runner}, which downloads a program from the web when it is not told where "
            "one runs. Try --runner=PortableRunner --job_endpoint=HOST:PORT, or no --runner."
        )


def _load_options(beam_flags: Sequence[str]) -> None:
    """Make Beam know the flags of a runner that it does not import by itself."""
    if any("dask" in flag.lower() for flag in beam_flags):
        try:
            import apache_beam.runners.dask.dask_runner  # noqa: F401
            import distributed  # noqa: F401
        except ImportError as error:
            raise UserError(
                f"Expected Dask to be installed; received {error}. Try pip install "
                "'apache-beam[dask]'."
            ) from error
