"""What monge raises and warns. Each error is also the built-in class that a caller would expect."""

from __future__ import annotations


class Error(Exception):
    """Base of every error of monge.

    Attributes:
        argument: name of the argument to blame, or None.
        index: index of the entry to blame, where there is one, else None.
    """

    argument: str | None
    index: int | None

    def __init__(self, message: str, argument: str | None = None, index: int | None = None):
        super().__init__(message)
        self.argument = argument
        self.index = index


class InvalidArgument(Error, ValueError):
    """A malformed call: the message says what was given and what was wanted."""


class NotAvailable(Error, NotImplementedError):
    """A well-formed call that this build, device or geometry cannot answer."""


class DeviceError(Error, RuntimeError):
    """The device itself failed."""


class IoError(Error, OSError):
    """A file that cannot be read or written."""


class OutOfMemory(Error, MemoryError):
    """An allocation that did not fit; the message states the bytes wanted."""


class ConvergenceWarning(UserWarning):
    """A solve ended without meeting its tolerance, or carries no mass; the message says which."""
