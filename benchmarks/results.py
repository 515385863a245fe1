"""Run the benchmarks and write what they print to benchmarks/RESULTS.md, each in its section.

    python -m benchmarks.results                       # those of some minutes each
    python -m benchmarks.results --only=step,soak      # these
    python -m benchmarks.results --quick               # under two minutes, prints only

A section says which command printed it, when, and on what; others stay as they are. Nothing in that
file is written by hand.
"""

import dataclasses
import datetime
import importlib.metadata
import os
import pathlib
import platform
import re
import shlex
import subprocess
import sys

from absl import flags

from keras_gan import cli, files
from keras_gan.interfaces import UserError

RESULTS = pathlib.Path(__file__).parent / "RESULTS.md"
PEERS = pathlib.Path("build/peers/bin/python")  # where `make bench-peers` puts them
PACKAGES = ("tensorflow", "keras", "numpy", "apache-beam")

FLAGS = flags.FlagValues()
flags.DEFINE_list("only", [], "Sections, by the names below.", flag_values=FLAGS)
flags.DEFINE_bool("quick", False, "A short look at the step alone.", flag_values=FLAGS)
flags.DEFINE_string("peers", str(PEERS), "The Python of the peers.", flag_values=FLAGS)
flags.DEFINE_multi_string(
    "more", [], "section=--flag=value: what a section's command is told besides.", flag_values=FLAGS
)


@dataclasses.dataclass(frozen=True)
class Section:
    """One benchmark's part of the file.

    Args:
        title: its heading.
        command: the module and its arguments.
        long: whether it takes longer than some minutes, and runs only if it is named.
        races_peers: whether it is told where the peers are.
    """

    title: str
    command: tuple[str, ...]
    long: bool = False
    races_peers: bool = False


SECTIONS = {
    "step": Section(
        "Training step, the paper's networks for MNIST",
        ("benchmarks.step_speed", "--pair=mlp"),
        races_peers=True,
    ),
    "conv": Section(
        "Training step, a convolutional pair",
        ("benchmarks.step_speed", "--pair=conv", "--turn=20"),
        races_peers=True,
    ),
    "start": Section("How long commands take to begin", ("benchmarks.start_speed",)),
    "evaluation": Section(
        "Judging and sampling", ("benchmarks.evaluation_speed", "--model=saved_models/mnist")
    ),
    "growth": Section(
        "Growth", ("benchmarks.growth", "--picture=benchmarks/growth.png"), long=True
    ),
    "input": Section("Input of a training", ("benchmarks.input_speed",), long=True),
    "preprocessing": Section("Preprocessing", ("benchmarks.data_speed",), long=True),
    "memory": Section("Memory of preprocessing", ("benchmarks.data_memory",), long=True),
    "soak": Section("Memory of long runs", ("benchmarks.memory_soak",), long=True),
    "quality": Section(
        "Minutes to a log-likelihood",
        ("benchmarks.time_to_quality", "--recipe=mnist", "--seed=0", "--seed=1", "--seed=2"),
        long=True,
    ),
    "cost": Section("What everything beside the steps costs", ("benchmarks.run_cost",), long=True),
}
# It was 1.0 to 1.3 in single rounds; below 0.9 the step has become slower, not the machine.
QUICK = ("benchmarks.step_speed", "--only=alternating$", "--rounds=3", "--at_least=0.9")


def main(values: flags.FlagValues) -> None:
    """Run the command with its parsed flags."""
    if values.quick:
        sys.exit(subprocess.run((sys.executable, "-m", *QUICK), check=False).returncode)
    unknown = set(values.only) - set(SECTIONS)
    if unknown:
        raise UserError(
            f"Expected sections of {', '.join(SECTIONS)}; received {', '.join(sorted(unknown))}."
        )
    unknown = {text.partition("=")[0] for text in values.more} - set(SECTIONS)
    if unknown:
        raise UserError(
            f"Expected --more=SECTION=--FLAG=VALUE with a section of {', '.join(SECTIONS)}; "
            f"received {', '.join(sorted(unknown))}."
        )
    for name, section in SECTIONS.items():
        if name not in values.only and (values.only or section.long):
            continue
        command = [*section.command]
        if section.races_peers and pathlib.Path(values.peers).exists():
            command.append(f"--peers={values.peers}")
        command += [text.partition("=")[2] for text in values.more if text.startswith(f"{name}=")]
        print(f"== {section.title}: python -m {shlex.join(command)}", flush=True)
        done = subprocess.run(
            (sys.executable, "-m", *command), stdout=subprocess.PIPE, text=True, check=False
        )
        if done.returncode:
            raise UserError(
                f"Expected section {name} to end well; received exit code {done.returncode}, for "
                "what it says above. Flags of its own go in --more, as in "
                "--more=conv=--data_dir=DIR; sections before it are written."
            )
        print(done.stdout, flush=True)
        write(section.title, recorded(command), done.stdout)


def recorded(command: list[str]) -> str:
    """Write a command as others can run it: where things lie on this machine is left out."""
    return shlex.join(part for part in command if "=/" not in part and "=build/" not in part)


def write(title: str, command: str, printed: str) -> None:
    """Put a section into the file, in the place of what it had there."""
    tables = printed.strip()
    body = tables if tables.startswith("|") or "\n|" in tables else f"```\n{tables}\n```"
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    text = f"## {title}\n\n`python -m {command}`, {today}, {machine()}\n\n{body}\n"
    old = RESULTS.read_text() if RESULTS.exists() else ""
    parts = {
        part.partition("\n")[0].removeprefix("## "): part.strip() + "\n"
        for part in re.split(r"(?m)^(?=## )", old)
        if part.startswith("## ")
    }
    parts[title] = text
    order = [section.title for section in SECTIONS.values()]
    known = [parts[name] for name in order if name in parts]
    head = "# Results\n\nWritten by `python -m benchmarks.results`, which says more.\n\n"
    with files.replacing(RESULTS) as temporary:
        temporary.write_text(head + "\n".join(known))


def machine() -> str:
    """Describe this machine and what is installed on it, in one line."""
    described = pathlib.Path("/proc/cpuinfo")
    model = platform.processor() or platform.machine()
    if described.exists():
        facts = dict(re.findall(r"^([\w ]+?)\s*: (.+)$", described.read_text(), re.MULTILINE))
        # Two generations may go by one name, and be twice as fast the one as the other.
        wide = "with" if "avx512f" in facts.get("flags", "").split() else "without"
        known = f"family {facts.get('cpu family')}, model {facts.get('model')}, {wide} AVX-512"
        model = f"{facts.get('model name', model)} ({known})"
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores of {model}, Python {platform.python_version()}, {versions}"


if __name__ == "__main__":
    sys.exit(cli.run(main, FLAGS, __doc__ or ""))
