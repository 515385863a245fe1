"""How every command parses flags, shows help and reports bad input.

Flags are parsed before anything heavy is imported, so `--help` and mistakes answer at once. Bad
input is one sentence on standard error and exit code 2.
"""

import contextlib
import copy
import errno
import logging as standard_logging
import os
import pathlib
import select
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from absl import flags, logging

from keras_gan import files
from keras_gan.interfaces import Stopped, UserError

_PROJECT = pathlib.Path(__file__).parent.parent
_OWN_FOLDERS = (_PROJECT / "keras_gan", _PROJECT / "pipelines")

CHECKPOINT_HELP = (
    "Of a work directory: newest, best (by the Parzen estimate on held-out images that training "
    "logs), or a step."
)

VERBOSITY_HELP = (
    "How much is said, in absl's numbers: -1 warnings and errors only, no progress; 1 also what is "
    "for debugging, and what the libraries log."
)

# The operating system's refusals that a user can do something about.
_USER_ERRNOS = {
    errno.EACCES,
    errno.EDQUOT,
    errno.EEXIST,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ENOSPC,
    errno.ENOTDIR,
    errno.ENOTEMPTY,
    errno.EPERM,
    errno.EROFS,
}


def run(
    main: Callable[..., None],
    values: flags.FlagValues,
    doc: str,
    argv: Sequence[str] | None = None,
    *,
    pass_on: bool = False,
) -> int:
    """Parse `argv`, call `main` with the flags' values and return the exit code.

    Args:
        main: the command; it reads its flags from its argument.
        values: the command's own flags; they keep their defaults for the next call.
        doc: the command's documentation, shown by `--help`.
        argv: program name and arguments; `sys.argv` when None.
        pass_on: whether `main` takes what is no flag of its own as a second argument.

    Returns:
        0 on success, 2 on bad input, 3 when an alarm ended a run, 75 when it was ended from outside
        and the same command goes on, 130 when interrupted, 141 when its output was read to an end
        before it ended, as by `| head`.
    """
    try:
        code = _run(main, values, doc, list(sys.argv if argv is None else argv), pass_on)
        sys.stdout.flush()
    except BrokenPipeError:
        if not _is_unread(sys.stdout):
            raise
        return 141
    return code


def _is_unread(stream: Any) -> bool:
    """Say whether nobody reads a pipe any more; if so, leave what the stream still holds unsaid."""
    poll = select.poll()
    poll.register(stream, 0)
    if not any(event & select.POLLERR for _, event in poll.poll(0)):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # where Python flushes at its end
    return True


def _run(
    main: Callable[..., None],
    values: flags.FlagValues,
    doc: str,
    argv: list[str],
    pass_on: bool,
) -> int:
    # On a processor without AVX-512 TensorFlow left oneDNN off, whose kernels made steps there 1.3
    # times as fast, convolutional ones 1.8 times (docs/speed.md).
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    values = copy.deepcopy(values)
    flags.DEFINE_integer(
        "verbosity", 0, VERBOSITY_HELP, lower_bound=-1, upper_bound=1, flag_values=values
    )
    if any(argument in ("-h", "-help", "--help") for argument in argv[1:]):
        print(help_text(values, doc))  # noqa: T201
        return 0
    _log_plainly(logging.INFO)
    try:
        if pass_on:
            values.set_gnu_getopt(True)
        extra = values(argv, known_only=pass_on)[1:]
        if not pass_on:
            expect_flags(extra)
        _log_plainly(values.verbosity)
        for name in values:  # shells leave ~ alone behind --flag=
            value = values[name].value
            if isinstance(value, list):
                values[name].value = [_at_home(one) for one in value]
            else:
                values[name].value = _at_home(value)
        main(values, *([extra] if pass_on else []))
    except (flags.Error, UserError) as error:
        return _fail(str(error))
    except Stopped as stopped:
        return _fail(str(stopped), stopped.exit_code)
    except OSError as error:
        if error.errno not in _USER_ERRNOS:
            raise
        place = error.filename or "a file"
        return _fail(f"Expected to be able to use {place}; received: {error.strerror}.")
    except Exception as error:
        # TensorFlow and Beam wrap the system's error in their own.
        if not files.is_full(error):
            raise
        return _fail(f"Expected room on the disk; received: {os.strerror(errno.ENOSPC)}.")
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)  # noqa: T201
        return 130
    return 0


def is_quiet() -> bool:
    """Say whether warnings and errors are all that was asked for, which is not absl's default."""
    verbosity = flags.FLAGS["verbosity"]
    return not verbosity.using_default_value and verbosity.value < logging.INFO


def given(values: flags.FlagValues) -> list[str]:
    """Write the flags that a command was given as its arguments, in the order of `--help`."""
    present = [values[name] for name in values if values[name].present]
    return [argument for flag in present for argument in flag.serialize().split("\n")]


def _at_home(value: Any) -> Any:
    """Write out a path in the user's home folder; return what is none as it is."""
    at_home = isinstance(value, str) and value.startswith("~/")
    return str(pathlib.Path(value).expanduser()) if at_home else value


def expect_flags(arguments: Sequence[str]) -> None:
    """Fail if the first of some arguments is no flag."""
    if arguments and not arguments[0].startswith("-"):
        raise UserError(
            f"Expected flags of the form --name=value; received {arguments[0]!r}. Try --help."
        )


def expect_one_of(values: flags.FlagValues, *names: str) -> None:
    """Fail unless exactly one of some flags was given."""
    given = [f"--{name}={values[name].value}" for name in names if values[name].value]
    if len(given) != 1:
        received = " and ".join(given) or "neither"
        expected = " or ".join(f"--{name}" for name in names)
        raise UserError(f"Expected either {expected}; received {received}.")


def expect_checkpoint_of_a_run(values: flags.FlagValues) -> None:
    """Fail if a checkpoint was asked of what is no run."""
    if not values.workdir and values.checkpoint != values["checkpoint"].default:
        raise UserError(
            f"Expected --checkpoint with --workdir; received --checkpoint={values.checkpoint} "
            "without it: an export is of one step."
        )


def expect_writable(folder: str | os.PathLike[str]) -> None:
    """Fail before any work is done if files cannot be made in `folder` (which need not exist)."""
    path = pathlib.Path(folder)
    while not path.exists():
        path = path.parent
    if not path.is_dir() or not os.access(path, os.W_OK | os.X_OK):
        raise UserError(f"Expected a folder that can be written; received {folder}. Try another.")


def import_tensorflow() -> None:
    """Import TensorFlow without its chatter."""
    with without_chatter():
        import tensorflow  # noqa: F401


@contextlib.contextmanager
def without_chatter() -> Iterator[None]:
    """Keep from standard error what TensorFlow's library writes before any log level is read.

    What it wrote is shown if the block fails.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as chatter:
        stderr = os.dup(2)
        os.dup2(chatter.fileno(), 2)
        try:
            yield
        except UserError:
            raise
        except BaseException:
            chatter.seek(0)
            os.write(stderr, chatter.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def _log_plainly(verbosity: int) -> None:
    """Show this project's own messages, and only errors of the libraries under it."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    flags.FLAGS.mark_as_parsed()  # absl's own flags, which its log asks for, keep their defaults
    logging.use_absl_handler()
    logging.set_verbosity(verbosity)
    handler = logging.get_absl_handler()
    handler.setFormatter(standard_logging.Formatter("%(message)s"))
    handler.filters.clear()  # an earlier command's in this process
    if verbosity < logging.DEBUG:
        handler.addFilter(
            lambda record: (
                record.levelno >= standard_logging.ERROR
                or any(pathlib.Path(record.pathname).is_relative_to(own) for own in _OWN_FOLDERS)
            )
        )


def _fail(sentence: str, code: int = 2) -> int:
    print("error: " + " ".join(sentence.split()), file=sys.stderr)  # noqa: T201
    return code


def help_text(values: flags.FlagValues, doc: str) -> str:
    """Write a command's documentation and its flags, in the order they were defined."""
    lines = [doc.strip(), "", "Flags:"]
    for name in values:
        flag = values[name]
        default = "" if flag.default is None else f" (default: {flag.default_as_str})"
        lines.append(f"  --{name}")
        text = f"{flag.help}{default}"
        lines += textwrap.wrap(text, 92, initial_indent=" " * 8, subsequent_indent=" " * 8)
    return "\n".join(lines)
