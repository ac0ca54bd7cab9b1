"""The ways a command ends early. Each message is one line: what is wrong, and the mend."""


class UserError(ValueError):
    """The request cannot be carried out as given: exit code 2. Also raised by constructors for
    unknown choices.
    """


class RunError(RuntimeError):
    """The request was right and the run failed: exit code 1."""


class Stopped(BaseException):
    """A signal ended the run after its state was saved: exit code 128 + the signal's number.

    As KeyboardInterrupt no `Exception`: it comes at any line, and must not be taken for a fault of
    what is done there.
    """

    def __init__(self, message: str, signal_number: int):
        super().__init__(message)
        self.exit_code = 128 + signal_number
