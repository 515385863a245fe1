"""Where training runs: one device, several of this machine, several machines, or a TPU."""

import contextlib
import json
import os
import pathlib
import re
from collections.abc import Iterator

import tensorflow as tf
from absl import logging

from keras_gan.interfaces import Preempted, UserError

NAMES = ("auto", "one", "mirrored", "multi_worker", "tpu", "parameter_server")

MAX_STEPS_PER_CALL = 20  # of the compiled function, that come back with one value of each log

# What /proc/cpuinfo calls products in these precisions.
HALF = {
    "bfloat16": {"avx512_bf16", "amx_bf16"},
    "float16": {"avx512_fp16", "amx_fp16"},
}

# How a lost worker looks to those that wait for it.
LOST_WORKER = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.UnavailableError,
)


_TF_CONFIG = (
    'Expected TF_CONFIG like {{"cluster": {{"worker": ["host1:12345", "host2:12345"]}}, "task": '
    '{{"type": "worker", "index": 0}}}}; received {text!r} ({reason}).'
)


def make_strategy(
    name: str = "auto", *, replicas: int = 0, tpu: str = ""
) -> tf.distribute.Strategy:
    """Choose the devices; call it before anything else asks TensorFlow for one.

    Args:
        name: "one" device; "mirrored" on this machine's GPUs, or on its CPU cut into `replicas`;
            "multi_worker" on the machines that the environment variable TF_CONFIG lists; "tpu"; or
            "auto" for what there is.
        replicas: devices of this machine to use; 0 for every GPU.
        tpu: the TPU's name or address; empty for this machine's.

    Returns:
        What `experiment.train` takes; its scope is not entered.

    Raises:
        UserError: if there is no such strategy, or not what it needs.
    """
    if name not in NAMES:
        raise UserError(f"Expected a strategy of {', '.join(NAMES)}; received {name!r}.")
    if name == "parameter_server":
        raise UserError(
            "Expected a strategy that Keras 3 can train with; received parameter_server, which it "
            "does not support (keras issue 18624). Try multi_worker."
        )
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    workers = _workers() if name in ("auto", "multi_worker") else 0
    asked = name
    if name == "auto":
        name = (
            "multi_worker"
            if workers > 1
            else "tpu"
            if tpu or tf.config.list_physical_devices("TPU")
            else "mirrored"
            if replicas > 1 or (len(gpus) > 1 and replicas != 1)
            else "one"
        )
    if replicas and name != "mirrored" and not (name == "one" and replicas == 1):
        raise UserError(
            f"Expected --replicas with --strategy=mirrored; received --strategy={asked}"
            f"{'' if asked == name else f', which is {name} here'}. Try without --replicas."
        )
    if tpu and name != "tpu":
        raise UserError(f"Expected --tpu with --strategy=tpu; received --strategy={asked}.")
    if name == "one":
        return tf.distribute.get_strategy()
    if name == "mirrored":
        os.environ.pop("TF_CONFIG", None)  # TensorFlow would read it, and it is not of this
        devices = _devices(gpus, replicas)
        # On a CPU, TensorFlow's default would keep a step from being run in a loop, too.
        across = None if gpus else tf.distribute.ReductionToOneDevice()
        return tf.distribute.MirroredStrategy(devices, cross_device_ops=across)
    if name == "tpu":
        return _tpu_strategy(tpu)
    if workers < 2:
        raise UserError(
            "Expected the environment variable TF_CONFIG to list several workers for "
            f"--strategy=multi_worker; received TF_CONFIG={os.environ.get('TF_CONFIG', '')!r}. Try "
            "the example in docs/training.md."
        )
    logging.info("Waiting for all %s workers of TF_CONFIG", workers)
    return tf.distribute.MultiWorkerMirroredStrategy()


def _workers() -> int:
    """Count the workers of TF_CONFIG, and check what it says of this one."""
    text = os.environ.get("TF_CONFIG", "")
    if not text:
        return 0
    try:
        config = json.loads(text)
        cluster, task = config["cluster"], config["task"]
        kind, index = task["type"], int(task["index"])
        if not set(cluster) <= {"chief", "worker"}:
            raise ValueError(f"jobs {', '.join(cluster)}; only chief and worker train here")
        addresses = [address for tasks in cluster.values() for address in list(tasks)]
        if any(not re.fullmatch(r".+:\d+", str(address)) for address in addresses):
            raise ValueError("every address is a host and a port")
        if len(set(addresses)) < len(addresses):
            raise ValueError("two workers have one address")
        if not 0 <= index < len(cluster[kind]):
            raise ValueError(f"there is no {kind} {index}")
    except KeyError as error:
        raise UserError(_TF_CONFIG.format(text=text, reason=f"no {error}")) from error
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(_TF_CONFIG.format(text=text, reason=error)) from error
    return sum(len(addresses) for addresses in cluster.values())


def _devices(gpus: list, replicas: int) -> list[str]:
    if gpus:
        if replicas > len(gpus):
            raise UserError(f"Expected at most the {len(gpus)} GPUs here; received {replicas=}.")
        return [f"GPU:{index}" for index in range(replicas or len(gpus))]
    cpu, replicas = tf.config.list_physical_devices("CPU")[0], replicas or 1
    try:
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * replicas
        )
    except RuntimeError:  # TensorFlow has begun: what there is must do
        if len(tf.config.list_logical_devices("CPU")) < replicas:
            raise
    return [f"CPU:{index}" for index in range(replicas)]


def _tpu_strategy(name: str) -> tf.distribute.Strategy:
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=name or "local")
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (OSError, ValueError, RuntimeError, tf.errors.OpError) as error:
        received = " ".join(str(error).split()[:12])
        raise UserError(
            f"Expected a TPU for --strategy=tpu; received tpu={name!r}: {received}. Try a TPU VM "
            "with the tensorflow-tpu package (docs/training.md), or another --strategy."
        ) from error
    return tf.distribute.TPUStrategy(resolver)


def make_deterministic() -> None:
    """Have TensorFlow use only operations that give the same bits each time; call it early."""
    tf.config.experimental.enable_op_determinism()
    tf.random.set_seed(0)  # what draws without a key would be refused
    logging.info(
        "Deterministic operations only: no slower on two CPU cores, where runs repeat without "
        "it, too; for GPUs, on which it was not measured, see docs/training.md"
    )


def describe(strategy: tf.distribute.Strategy) -> str:
    """Say in one line which devices train."""
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    if strategy.num_replicas_in_sync == 1 and not several_workers(strategy):
        return f"Training on one {kind}"
    devices = ", ".join(device.split("device:")[-1] for device in strategy.extended.worker_devices)
    text = f"Training on {strategy.num_replicas_in_sync} replicas; here on {devices}"
    if several_workers(strategy):
        resolver = strategy.cluster_resolver
        text += f", as {resolver.task_type} {resolver.task_id}"
        text += " (the chief)" if is_chief(strategy) else ""
    return text


def emulated(compute_dtype: str) -> str:
    """Say in one line that this machine only emulates a precision; nothing if it does not.

    Of processors without Linux, and of other kinds than x86, that is not known.
    """
    elsewhere = any(tf.config.list_logical_devices(kind) for kind in ("GPU", "TPU"))
    features = set() if elsewhere else _processor_features()
    if not features or compute_dtype not in HALF or features & HALF[compute_dtype]:
        return ""
    return (
        f"This processor only emulates {compute_dtype}, which can be many times slower than "
        "float32, above all with convolutions. Try --precision=float32"
    )


def _processor_features() -> set[str]:
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text()
    except OSError:
        return set()
    found = re.search(r"^flags\s*:(.*)$", text, re.MULTILINE)
    return set(found[1].split()) if found else set()


def max_steps_per_call(strategy: tf.distribute.Strategy) -> int:
    """Say how many steps one call of the compiled function may take.

    Collective operations, by which GPUs and workers add up gradients, ask for a number at each call
    of the function that they are in. TensorFlow does not give it to a function in a loop.
    """
    gpus = isinstance(strategy, tf.distribute.MirroredStrategy) and any(
        "GPU" in device for device in strategy.extended.worker_devices
    )
    return 1 if gpus or several_workers(strategy) else MAX_STEPS_PER_CALL


def several_workers(strategy: tf.distribute.Strategy) -> bool:
    """Say whether other processes train the same model."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Say whether this process is the one that writes."""
    if not several_workers(strategy):
        return True
    resolver = strategy.cluster_resolver
    if "chief" in resolver.cluster_spec().jobs:
        return resolver.task_type == "chief"
    return resolver.task_id == 0


def sum_over_workers(strategy: tf.distribute.Strategy, value: int) -> int:
    """Add up one number of each process; all of them must ask at the same point.

    Args:
        strategy: of the run.
        value: this process's.

    Returns:
        The sum, the same on all of them.
    """
    if not several_workers(strategy):
        return value
    here = strategy.num_replicas_in_sync // _workers()
    total = strategy.run(
        lambda: tf.distribute.get_replica_context().all_reduce(
            tf.distribute.ReduceOp.SUM, tf.constant(value, tf.int64)
        )
    )
    return int(strategy.experimental_local_results(total)[0]) // here


@contextlib.contextmanager
def others_may_be_lost(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Say in words that another worker was lost, when that is what an error means.

    Raises:
        Preempted: the same command, on every worker, goes on.
    """
    try:
        yield
    except LOST_WORKER as error:
        if not several_workers(strategy):
            raise
        raise Preempted(
            "Another worker was lost, or ended before. The same command, on every worker, goes on "
            f"from the last checkpoint. ({' '.join(str(error).split())[-200:]})"
        ) from error


@contextlib.contextmanager
def chief_first(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Let the chief go through alone, then the other workers, who find what it made."""
    if not is_chief(strategy):
        logging.info("Waiting for the chief")
        sum_over_workers(strategy, 0)
    yield
    if is_chief(strategy):
        sum_over_workers(strategy, 0)


def expect_agreement(strategy: tf.distribute.Strategy, step: int) -> None:
    """Fail on every worker if one of them did not find the checkpoint that others found.

    Raises:
        UserError: if the steps that they are at differ.
    """
    workers = sum_over_workers(strategy, 1)
    if sum_over_workers(strategy, step) != workers * step:
        raise UserError(
            f"Expected every worker to go on from the same step; received step={step} here and "
            "another elsewhere. Try a --workdir that all of them share."
        )
