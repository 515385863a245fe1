"""Kills the chain with SIGKILL at every step; prints as JSON how each run ended, and its log.

A program of its own: its children are forks of a process that has imported TensorFlow, and in which
nothing of it ran.
"""

import json
import os
import pathlib
import signal
import sys

from keras_gan import checkpoints, distribution, export  # noqa: F401  imported before the forks
from pipelines import blessing, metadata, transforms  # noqa: F401
from pipelines.components import pusher, trainer  # noqa: F401
from tests.chain import STEPS, arguments, execute


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def in_child(flags, prepare, log):
    """Run the chain in a fork of this process; return how that ended."""
    child = os.fork()
    if child == 0:
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        code = 99
        try:
            prepare()
            code = execute(*flags)
            sys.stdout.flush()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kills():
    """Every place to be killed at: (name, what arranges for it)."""

    def at_begin(step):
        def prepare():
            begin = metadata.Store.begin

            def begin_and_die(self, name, *arguments):
                number = begin(self, name, *arguments)
                return die() if name == step else number

            metadata.Store.begin = begin_and_die

        return prepare

    def at_finish(step):
        """All is written and renamed (or pushed), and not recorded."""

        def prepare():
            finish = metadata.Store.finish

            def die_or_finish(self, number, *arguments):
                if self.describe(number)["component"] == step:
                    die()
                return finish(self, number, *arguments)

            metadata.Store.finish = die_or_finish

        return prepare

    def in_training():
        save = checkpoints.Checkpoints.save

        def save_and_die(self, gan, *arguments):
            path = save(self, gan, *arguments)
            return die() if path.name == "step-0000008" else path

        checkpoints.Checkpoints.save = save_and_die

    for step in STEPS:
        if step == "Trainer":
            yield "Trainer trains", in_training
        yield f"{step} ends", at_finish(step)
        if step == "Pusher":
            yield f"{step} begins", at_begin(step)


def main(folder):
    export._compare = lambda *arguments: None  # takes two seconds each time
    told = {}
    for place, prepare in [*kills(), ("nothing", lambda: None), ("again", lambda: None)]:
        status = in_child(arguments(folder), prepare, folder / "log")
        told[place] = (status, (folder / "log").read_text())
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
