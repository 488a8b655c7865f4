"""What can go wrong while a file is downloaded, apart from its content."""

from __future__ import annotations

from fmnist_tui.util.errors import UserError


class UnreachableError(UserError):
    """The server as a whole does not answer: do not ask it for other files."""


class BrokenError(UserError):
    """The response ended before all of it had arrived."""


class StatusError(UserError):
    """The server refused the request."""

    def __init__(self, status: int, phrase: str) -> None:
        super().__init__(f"HTTP {status} {phrase}".strip())
        self.status = status


class LoginPageError(UserError):
    """A web page arrived instead of the file: the login page of a hotel or company network."""

    def __init__(self) -> None:
        super().__init__("a login page answered instead of the file; log in to this network first")
