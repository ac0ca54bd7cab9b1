"""The ways a command ends early. Each message is one line: what is wrong, and how to fix it."""


class UserError(ValueError):
    """The request cannot be carried out as given (exit code 2). Constructors also raise it for
    unknown choices.
    """


class RunError(RuntimeError):
    """The request was valid but the run failed (exit code 1)."""


class Stopped(BaseException):
    """A signal ended the run after its state was saved (exit code 128 + the signal's number).

    Like KeyboardInterrupt, not an `Exception`: it may be raised at any line and must not be
    mistaken for an error of the code there.
    """

    def __init__(self, message: str, signal_number: int):
        super().__init__(message)
        self.exit_code = 128 + signal_number
