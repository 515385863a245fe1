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

IMPORTED = ["tensorflow", "keras", "apache_beam", "tensorflow_datasets", "keras_gan.experiment"]


def run_fresh(module: str, *args: str, cwd: pathlib.Path, timeout: int = 600):
    """Run a command as the shell does; return the finished process."""
    command = [sys.executable, "-m", module, *args]
    pipes = {"capture_output": True, "text": True}
    return subprocess.run(command, cwd=cwd, timeout=timeout, check=False, **pipes)


def run_module(module: str, *args: str, cwd: pathlib.Path, timeout: int = 600):
    """Run a command in a fork; return the finished process, as `run_fresh` does."""
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(IMPORTED)
    with tempfile.TemporaryDirectory() as folder:
        out, err = (pathlib.Path(folder) / name for name in ("out", "err"))
        process = forks.Process(target=_command, args=(module, args, cwd, out, err))
        process.start()
        process.join(timeout)
        if process.is_alive():
            process.kill()
            raise subprocess.TimeoutExpired(module, timeout, out.read_bytes(), err.read_bytes())
        code = process.exitcode
        return subprocess.CompletedProcess(args, code, out.read_text(), err.read_text())


def _command(module, args, cwd, out, err):
    for path, number in ((out, 1), (err, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    os.chdir(cwd)
    sys.path.insert(0, str(cwd))
    sys.argv = [module, *args]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()  # a fork's end leaves them out
