"""What development needs beyond gunicorn's own reload, which misses some changes and dies of most errors."""

import os
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar

import structlog
from gunicorn import reloader  # type: ignore[import-untyped] # ships no types

log = structlog.get_logger(__name__)

WSGIApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class LoadedFiles:
    """The sources this process has loaded so far, as they were then.

    A worker is a fork of its master and inherits these modules, so a change of one reaches nobody but a new master.
    """

    def __init__(self) -> None:
        files = {module.__file__ for module in tuple(sys.modules.values()) if getattr(module, "__file__", None)}
        self._times = {file: _changed_at(file) for file in files if file and file.endswith(".py")}
        self.seen = dict(self._times)
        """As they were when they were last looked at: what a worker made after that has to be told of is newer."""

    def changed(self) -> list[str]:
        """Those that are others now; none while one of them is no Python, because a new process would not start."""
        self.seen = {file: _changed_at(file) for file in self._times}
        changed = [file for file, time in self._times.items() if self.seen[file] != time]
        return changed if all(map(_is_python, changed)) else []


class Watcher(reloader.Reloader):  # type: ignore[misc] # its base is untyped
    """Looks at the loaded files once a second, and takes none for old that was changed while they were being loaded.

    gunicorn's takes the first look after loading, so of several files copied here it would miss the later ones.
    Not when they were written counts (copies keep that of the original), but when they came.
    """

    ENGINE = "redprint"
    loaded_by_master: ClassVar[LoadedFiles | None] = None

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._since = time.time()  # before the worker loads its application

    def run(self) -> None:
        """Call back for each change, until the process ends."""
        known = dict(self.loaded_by_master.seen) if self.loaded_by_master else {}
        while True:
            for file in self.get_files():
                changed_at = _changed_at(file)
                if changed_at is not None and changed_at > (known.get(file) or self._since):
                    known[file] = changed_at
                    self._callback(file)
            time.sleep(self._interval)


reloader.reloader_engines[Watcher.ENGINE] = Watcher


def restart_master(metrics_dir: Path | None) -> None:
    """Begin this process anew, with the arguments it was started with. `metrics_dir` is one nobody named: it goes."""
    if metrics_dir is not None:
        shutil.rmtree(metrics_dir, ignore_errors=True)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - there is no shell to be had here


def failed_app(error: BaseException) -> WSGIApp:
    """An application that shows why the real one could not be loaded, until a file is changed.

    `/livez` is 200 all the same: the process is alive and waits. A restarted container would have lost the files that
    were copied into it.
    """
    text = "".join(traceback.format_exception(error)).encode()

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        is_probe = environ["PATH_INFO"] == "/livez"
        status = "200 OK" if is_probe else "500 Internal Server Error"
        headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(text)))]
        start_response(status, headers)
        return [text]

    return answer


def files_of(error: BaseException) -> set[str]:
    """The sources an error went through, and the one it is about."""
    files = {frame.filename for frame in traceback.extract_tb(error.__traceback__)}
    if isinstance(error, SyntaxError) and error.filename:
        files.add(error.filename)
    return {file for file in files if os.path.isfile(file)}


def _changed_at(file: str) -> float | None:
    try:
        return os.stat(file).st_ctime
    except OSError:
        return None


def _is_python(file: str) -> bool:
    try:
        compile(Path(file).read_bytes(), file, "exec")
    except (OSError, SyntaxError, ValueError) as error:
        log.error("reload_waits", file=file, reason=str(error))
        return False
    return True
