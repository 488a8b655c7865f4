"""Where studies are stored: a SQLite file, a journal file, or a database shared by machines.

`parse_location` reads a `--storage` value, `connect` opens it within a time limit. Optuna and
SQLAlchemy are imported when a storage is opened, not before.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmnist_tui.sweeps.trial_states import AlreadyEndedError
from fmnist_tui.util.errors import UsageError, UserError, format_error
from fmnist_tui.util.file_lock import locked
from fmnist_tui.util.paths import expand_home, format_path
from fmnist_tui.util.text import safe_text

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from sqlalchemy import URL

VARIABLE = "FMNIST_TUI_STORAGE"
DEFAULT_FILE = "sweeps.db"
JOURNAL = "journal:"
# Opening a storage takes at most this long, whatever it waits for.
CONNECT_SECONDS = 8.0
# A statement waits this long for another process to release a SQLite file.
BUSY_SECONDS = 10.0
_ATTEMPTS = 5
_FORMS = "a database URL (postgresql+psycopg://USER@HOST/NAME, sqlite:///FILE) or journal:FILE"
# What to install for a driver module.
_PACKAGES = {"psycopg": "fmnist-tui[postgres]", "pymysql": "PyMySQL", "MySQLdb": "mysqlclient"}
_SECRET_WORDS = ("pass", "secret", "token")


@dataclass(frozen=True, slots=True)
class StorageLocation:
    """Where studies are stored. `public_url` has no password and may be written and printed."""

    public_url: str
    path: Path | None = None
    is_journal: bool = False
    url: URL | None = field(default=None, repr=False)

    @property
    def is_sqlite(self) -> bool:
        return self.path is not None and not self.is_journal

    @property
    def is_missing(self) -> bool:
        """Whether it is a file that does not exist yet."""
        return self.path is not None and not self.path.exists()

    @property
    def name(self) -> str:
        """The file relative to the home folder, or the URL without a password."""
        return format_path(self.path) if self.path is not None else safe_text(self.public_url)

    def redact(self, message: str) -> str:
        """A driver's message without the passwords it may hold."""
        for secret in _secrets(self.url) if self.url is not None else ():
            message = message.replace(secret, "***")
        return safe_text(message, 300)


def parse_location(text: str | None, runs_dir: Path) -> StorageLocation:
    """What `--storage` names; by default the environment's, or a file beside the runs."""
    text = text or os.environ.get(VARIABLE)
    if not text:
        return _sqlite(runs_dir / DEFAULT_FILE)
    if text.startswith(JOURNAL):
        file = text.removeprefix(JOURNAL)
        if not file:
            raise UsageError(f"--storage {JOURNAL}: needs a file: {JOURNAL}FILE")
        path = expand_home(file).absolute()
        return StorageLocation(f"{JOURNAL}{path}", path, is_journal=True)
    scheme = text.partition("://")[0] if "://" in text else ""
    if not scheme:
        raise UsageError(f"--storage {safe_text(text, 60)} is not a storage: give {_FORMS}")
    if scheme == "sqlite":
        file = text.removeprefix("sqlite://").removeprefix("/")
        if not file or file == ":memory:":
            raise UsageError("--storage sqlite:// needs a file: sqlite:///FILE")
        return _sqlite(expand_home(file))
    # From here on messages quote only the scheme: the rest may hold a password.
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(text)
        # The rest of a password with an unquoted @ would be read as a host.
        if "@" in f"{url.host}{url.database}":
            raise ValueError
    except (ArgumentError, ValueError):
        raise UsageError(
            f"--storage {safe_text(scheme, 30)}://… cannot be read as a URL: give {_FORMS}"
            " (special characters of a password percent-encoded, such as %40)"
        ) from None
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    return StorageLocation(_without_secrets(url), url=url)


def connect(location: StorageLocation) -> BaseStorage:
    """Open the storage; a UserError, one line, says why it cannot be opened.

    A thread opens it: no name server, firewall or sleeping disk can block the program for
    longer than `CONNECT_SECONDS`."""
    future: Future[BaseStorage] = Future()

    def open_in_thread() -> None:
        try:
            future.set_result(_open(location))
        except BaseException as error:  # noqa: BLE001 - raised by future.result
            future.set_exception(error)

    # A daemon: one that hangs in a system call must not keep the process alive.
    threading.Thread(target=open_in_thread, name="storage", daemon=True).start()
    with storage_errors(location):
        try:
            return future.result(CONNECT_SECONDS)
        except TimeoutError:
            raise UserError(
                f"the storage {location.name} has not answered in {CONNECT_SECONDS:.0f} s:"
                " check the address and that the server is running"
            ) from None


@contextlib.contextmanager
def storage_errors(
    location: StorageLocation, on_error: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Turn any error of a database, its driver or a disk into a UserError: one line without a
    password. `on_error` is called first."""
    try:
        yield
    except (UserError, AlreadyEndedError):
        raise
    except Exception as error:
        on_error()
        message = _root_message(error)
        line = next((line for line in message.splitlines() if line.strip()), message)
        line = location.redact(line).strip()
        raise UserError(f"the storage {location.name} cannot be used: {line}") from error


@contextlib.contextmanager
def exclusive(location: StorageLocation) -> Iterator[None]:
    """Hold a file lock against the other workers of this machine, for SQLite only.

    SQLite has no row locks: two workers could take the same waiting trial."""
    if not location.is_sqlite:
        yield
        return
    assert location.path is not None
    # Without file locks there is only the small chance that a trial runs twice.
    with locked(location.path.with_name(f"{location.path.name}.lock")):
        yield


def _sqlite(path: Path) -> StorageLocation:
    return StorageLocation(f"sqlite:///{path.absolute()}", path.absolute())


def _open(location: StorageLocation) -> BaseStorage:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    if location.path is not None:
        _check_folder(location.path)
    if location.is_journal:
        from optuna.storages import JournalStorage

        from fmnist_tui.sweeps.journal import AtomicLineFile

        try:
            return JournalStorage(AtomicLineFile(str(location.path)))
        except (ValueError, LookupError, TypeError, AssertionError):
            raise UserError(
                f"the storage {location.name} cannot be used: it is not an Optuna journal"
            ) from None
    for attempt in range(_ATTEMPTS):
        try:
            return _database(location)
        except Exception as error:
            # Two processes that open an empty database at once both create its tables; one fails.
            if attempt + 1 == _ATTEMPTS or not _is_race(error):
                raise
            time.sleep(0.2 * (attempt + 1))
    raise AssertionError


def _database(location: StorageLocation) -> BaseStorage:
    from optuna.storages import RDBStorage
    from sqlalchemy import URL
    from sqlalchemy.exc import NoSuchModuleError

    url = location.url
    try:
        if url is None:
            # Built from parts: the file name may contain ? or %.
            file = URL.create("sqlite", database=str(location.path)).render_as_string()
            return RDBStorage(file, engine_kwargs={"connect_args": {"timeout": BUSY_SECONDS}})
        return RDBStorage(
            url.render_as_string(hide_password=False),
            engine_kwargs={
                "connect_args": _driver_timeouts(url),
                "pool_pre_ping": True,
                "pool_timeout": CONNECT_SECONDS,
            },
        )
    except NoSuchModuleError:
        scheme = safe_text(url.drivername if url is not None else "", 40)
        raise UsageError(f"--storage {scheme}:// is not supported: give {_FORMS}") from None
    except ImportError as error:
        raise UserError(_missing_driver(location, error)) from None


def _missing_driver(location: StorageLocation, error: ImportError) -> str:
    cause: BaseException = error
    while cause.__cause__ is not None and not getattr(cause, "name", None):
        cause = cause.__cause__
    module = str(getattr(cause, "name", None) or "its driver").partition(".")[0]
    package = _PACKAGES.get(module, module)
    return (
        f"the storage {location.name} needs the driver {safe_text(module)}, which is not"
        f" installed: pip install {package}"
    )


def _driver_timeouts(url: URL) -> Mapping[str, Any]:
    """Connection options that bound a driver's waiting, unless the URL sets them."""
    backend, driver = url.get_backend_name(), url.get_driver_name()
    limits: dict[str, Any] = {}
    if backend == "postgresql" and driver in ("psycopg", "psycopg2"):
        limits = {
            "connect_timeout": 5,
            # A dead connection is noticed in half a minute, not in two hours.
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 20_000,
        }
    elif backend in ("mysql", "mariadb") and driver in ("pymysql", "mysqldb"):
        limits = {"connect_timeout": 5}
    return {key: value for key, value in limits.items() if key not in url.query}


def _check_folder(path: Path) -> None:
    if path.is_dir():
        raise UserError(f"the storage {format_path(path)} cannot be used: it is a folder")
    if not path.parent.is_dir():
        raise UserError(
            f"the storage {format_path(path)} cannot be used: there is no folder"
            f" {format_path(path.parent)}"
        )


def _is_race(error: BaseException) -> bool:
    from sqlalchemy.exc import IntegrityError

    text = f"{error} {error.__cause__ or ''}".lower()
    return isinstance(error, IntegrityError) or "already exists" in text or "duplicate" in text


def _root_message(error: BaseException) -> str:
    """The driver's own message, which Optuna and SQLAlchemy wrap in theirs."""
    while True:
        inner = getattr(error, "orig", None) or error.__cause__
        if not isinstance(inner, BaseException):
            return str(error).strip() or format_error(error)
        error = inner


def _without_secrets(url: URL) -> str:
    secret = [name for name in url.query if _is_secret(name)]
    public = url._replace(password=None).difference_update_query(secret)
    return public.render_as_string(hide_password=False)


def _secrets(url: URL) -> list[str]:
    from urllib.parse import quote, quote_plus

    secrets = [str(url.password)] if url.password else []
    for name, value in url.query.items():
        if _is_secret(name):
            secrets += [value] if isinstance(value, str) else list(value)
    return sorted({form for text in secrets for form in (text, quote(text), quote_plus(text))})


def _is_secret(parameter: str) -> bool:
    return any(word in parameter.lower() for word in _SECRET_WORDS)
