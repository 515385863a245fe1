"""Commands run as a user runs them: `python -m module arguments`, in a process of their own.

To import TensorFlow takes a command four seconds of processor time. So a process beside each test
process imports it once and does nothing with it, and most commands are forks of that.
"""

import atexit
import multiprocessing
import os
import pathlib
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Callable

IMPORTED = ["tensorflow", "keras", "apache_beam", "tensorflow_datasets", "keras_gan.experiment"]


class Command:
    """A command that runs in a fork, with as much of `subprocess.Popen` as tests ask for.

    Args:
        module: what `python -m` gets.
        args: the command line's.
        cwd: where it runs.
        env: its environment; this process's if None.
        before: what it calls first; it comes there by pickle.
    """

    def __init__(
        self,
        module: str,
        *args: str,
        cwd: pathlib.Path,
        env: dict[str, str] | None = None,
        before: Callable[[], object] | None = None,
    ):
        forks = multiprocessing.get_context("forkserver")
        forks.set_forkserver_preload(IMPORTED)
        self.args = [module, *args]
        self._told = tempfile.TemporaryDirectory()
        told = pathlib.Path(self._told.name)
        given = (self.args, cwd, dict(os.environ if env is None else env), before, told)
        self._process = forks.Process(target=_run, args=given)
        self._process.start()
        self.pid = self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    returncode = property(poll)

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()

    def communicate(self, timeout: float) -> tuple[str, str]:
        """Wait for its end; return what it wrote."""
        self._process.join(timeout)
        out, err = (pathlib.Path(self._told.name, name).read_text() for name in ("out", "err"))
        if self._process.is_alive():
            self.kill()
            raise subprocess.TimeoutExpired(self.args, timeout, out, err)
        return out, err

    def __enter__(self) -> "Command":
        return self

    def __exit__(self, *exception: object) -> None:
        self.kill()
        self._process.join()
        self._told.cleanup()


def _run(args, cwd, env, before, told):
    for name, number in (("out", 1), ("err", 2)):
        os.dup2(os.open(told / name, os.O_WRONLY | os.O_CREAT), number)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.path.insert(0, str(cwd))
    sys.argv = list(args)
    if before:
        before()
    try:
        runpy.run_module(args[0], run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()  # a fork's end leaves them out


def run_module(module: str, *args: str, cwd: pathlib.Path, timeout: int = 600, **options):
    """Run a command in a fork; return the finished process, as `run_fresh` does."""
    with Command(module, *args, cwd=cwd, **options) as command:
        out, err = command.communicate(timeout)
        return subprocess.CompletedProcess(command.args, command.returncode, out, err)


def run_fresh(module: str, *args: str, cwd: pathlib.Path, timeout: int = 600):
    """Run a command as the shell does; return the finished process."""
    command = [sys.executable, "-m", module, *args]
    pipes = {"capture_output": True, "text": True}
    return subprocess.run(command, cwd=cwd, timeout=timeout, check=False, **pipes)
