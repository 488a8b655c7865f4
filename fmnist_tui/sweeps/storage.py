"""Where studies are kept: a SQLite file, a journal file, or a database that machines share.

`place` reads what was given, `connect` opens it in bounded time. Optuna and SQLAlchemy are
imported when a storage is opened, not before.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmnist_tui.util.errors import UsageError, UserError, reason
from fmnist_tui.util.file_lock import locked
from fmnist_tui.util.paths import expanded, from_home
from fmnist_tui.util.text import safe_text

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from sqlalchemy import URL

VARIABLE = "FMNIST_TUI_STORAGE"
DEFAULT = "sweeps.db"
JOURNAL = "journal:"
# So long may opening a storage take, whatever it waits for.
SECONDS = 8.0
# So long a statement waits for another process to be done with a SQLite file.
BUSY_SECONDS = 10.0
_TRIES = 5
_FORMS = "a database URL (postgresql+psycopg://USER@HOST/NAME, sqlite:///FILE) or journal:FILE"
# What a driver is called where it is installed from, and what brings it along.
_PACKAGES = {"psycopg": "fmnist-tui[postgres]", "pymysql": "PyMySQL", "MySQLdb": "mysqlclient"}
_SECRET = ("pass", "secret", "token")


@dataclass(frozen=True, slots=True)
class StudyStorage:
    """Where studies are kept. `shown` has no password in it and may be kept and printed."""

    shown: str
    path: Path | None = None
    journal: bool = False
    url: URL | None = field(default=None, repr=False)

    @property
    def is_missing(self) -> bool:
        """Whether it is a file that is not there yet."""
        return self.path is not None and not self.path.exists()

    def name(self) -> str:
        """What people call it."""
        return from_home(self.path) if self.path is not None else safe_text(self.shown)

    def clean(self, message: str) -> str:
        """A message of a driver without the password it might hold."""
        for secret in _secrets(self.url) if self.url is not None else ():
            message = message.replace(secret, "***")
        return safe_text(message, 300)


def place(given: str | None, runs_dir: Path) -> StudyStorage:
    """What `--storage` means: as given, from the environment, or a file beside the runs."""
    given = given or os.environ.get(VARIABLE)
    if not given:
        return _sqlite(runs_dir / DEFAULT)
    if given.startswith(JOURNAL):
        file = given.removeprefix(JOURNAL)
        if not file:
            raise UsageError(f"--storage {JOURNAL}: needs a file: {JOURNAL}FILE")
        path = expanded(file).absolute()
        return StudyStorage(f"{JOURNAL}{path}", path, journal=True)
    scheme = given.partition("://")[0] if "://" in given else ""
    if not scheme:
        raise UsageError(f"--storage {safe_text(given, 60)} is none: give {_FORMS}")
    if scheme == "sqlite":
        file = given.removeprefix("sqlite://").removeprefix("/")
        if not file or file == ":memory:":
            raise UsageError("--storage sqlite:// needs a file: sqlite:///FILE")
        return _sqlite(expanded(file))
    # From here on nothing of what was given is said but its scheme: it may hold a password.
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(given)
        # The rest of a password with an unquoted @ in it would be taken for a host.
        if "@" in f"{url.host}{url.database}":
            raise ValueError
    except (ArgumentError, ValueError):
        raise UsageError(
            f"--storage {safe_text(scheme, 30)}://… cannot be read as a URL: give {_FORMS}"
            " (odd characters of a password as %40 and the like)"
        ) from None
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    return StudyStorage(_without_secrets(url), url=url)


def connect(where: StudyStorage) -> BaseStorage:
    """The storage, opened, or a UserError with one line that says why it cannot be.

    The opening is done in a thread: no name server, firewall or sleeping disk can hold the
    program up for longer than `SECONDS`."""
    answer: Future[BaseStorage] = Future()

    def opening() -> None:
        try:
            answer.set_result(_opened(where))
        except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits
            answer.set_exception(error)

    # A daemon: one that hangs in a system call must not keep the process from ending.
    threading.Thread(target=opening, name="storage", daemon=True).start()
    try:
        return answer.result(SECONDS)
    except UserError:
        raise
    except TimeoutError:
        raise UserError(
            f"the storage {where.name()} has not answered in {SECONDS:.0f} s:"
            " see whether the address is right and the server runs"
        ) from None
    except Exception as error:
        raise UserError(trouble(where, error)) from error


def trouble(where: StudyStorage, error: BaseException) -> str:
    """What went wrong with a storage, as one line without a password."""
    lines = _root(error)
    line = where.clean(next((part for part in lines.splitlines() if part.strip()), lines))
    return f"the storage {where.name()} cannot be used: {line.strip()}"


@contextlib.contextmanager
def alone(where: StudyStorage) -> Iterator[None]:
    """One worker of this machine at a time, where the database cannot see to that.

    SQLite has no row locks: two workers could take the same waiting trial."""
    if where.path is None or where.journal:
        yield
        return
    # On a file system without locks there is but the small chance of a trial done twice.
    with locked(where.path.with_name(f"{where.path.name}.lock")):
        yield


def _sqlite(path: Path) -> StudyStorage:
    return StudyStorage(f"sqlite:///{path.absolute()}", path.absolute())


def _opened(where: StudyStorage) -> BaseStorage:
    """Called in a thread of its own."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    if where.path is not None:
        _check_folder(where.path)
    if where.journal:
        from optuna.storages import JournalStorage

        from fmnist_tui.sweeps.journal import AtomicLineFile

        try:
            return JournalStorage(AtomicLineFile(str(where.path)))
        except (ValueError, LookupError, TypeError, AssertionError):
            raise UserError(
                f"the storage {where.name()} cannot be used: it is no journal of Optuna's"
            ) from None
    for attempt in range(_TRIES):
        try:
            return _database(where)
        except Exception as error:
            # Two that open an empty database at once both make its tables: one comes too late.
            if attempt + 1 == _TRIES or not _is_race(error):
                raise
            time.sleep(0.2 * (attempt + 1))
    raise AssertionError


def _database(where: StudyStorage) -> BaseStorage:
    from optuna.storages import RDBStorage
    from sqlalchemy import URL
    from sqlalchemy.exc import NoSuchModuleError

    url = where.url
    try:
        if url is None:
            # Made of parts: there may be a ? or a % in the file's name.
            file = URL.create("sqlite", database=str(where.path)).render_as_string()
            return RDBStorage(file, engine_kwargs={"connect_args": {"timeout": BUSY_SECONDS}})
        return RDBStorage(
            url.render_as_string(hide_password=False),
            engine_kwargs={
                "connect_args": _patience(url),
                "pool_pre_ping": True,
                "pool_timeout": SECONDS,
            },
        )
    except NoSuchModuleError:
        scheme = safe_text(url.drivername if url is not None else "", 40)
        raise UsageError(f"--storage {scheme}:// is of no known kind: give {_FORMS}") from None
    except ImportError as error:
        raise UserError(_missing_driver(where, error)) from None


def _missing_driver(where: StudyStorage, error: ImportError) -> str:
    cause: BaseException = error
    while cause.__cause__ is not None and not getattr(cause, "name", None):
        cause = cause.__cause__
    module = str(getattr(cause, "name", None) or "its driver").partition(".")[0]
    package = _PACKAGES.get(module, module)
    return (
        f"the storage {where.name()} needs the driver {safe_text(module)}, which is not"
        f" installed: pip install {package}"
    )


def _patience(url: URL) -> Mapping[str, Any]:
    """How long the drivers wait; what the URL says itself comes first."""
    backend, driver = url.get_backend_name(), url.get_driver_name()
    limits: dict[str, Any] = {}
    if backend == "postgresql" and driver in ("psycopg", "psycopg2"):
        limits = {
            "connect_timeout": 5,
            # A line that has gone dead is noticed in half a minute, not in two hours.
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
        raise UserError(f"the storage {from_home(path)} cannot be used: it is a folder")
    if not path.parent.is_dir():
        raise UserError(
            f"the storage {from_home(path)} cannot be used: there is no folder"
            f" {from_home(path.parent)}"
        )


def _is_race(error: BaseException) -> bool:
    from sqlalchemy.exc import IntegrityError

    words = f"{error} {error.__cause__ or ''}".lower()
    return isinstance(error, IntegrityError) or "already exists" in words or "duplicate" in words


def _root(error: BaseException) -> str:
    """The driver's own words: Optuna and SQLAlchemy put theirs around them."""
    while True:
        inner = getattr(error, "orig", None) or error.__cause__
        if not isinstance(inner, BaseException):
            return str(error).strip() or reason(error)
        error = inner


def _without_secrets(url: URL) -> str:
    odd = [name for name in url.query if any(part in name.lower() for part in _SECRET)]
    plain = url._replace(password=None).difference_update_query(odd)
    return plain.render_as_string(hide_password=False)


def _secrets(url: URL) -> list[str]:
    from urllib.parse import quote, quote_plus

    found = [str(url.password)] if url.password else []
    for name, value in url.query.items():
        if any(part in name.lower() for part in _SECRET):
            found += [value] if isinstance(value, str) else list(value)
    return sorted({form for text in found for form in (text, quote(text), quote_plus(text))})
