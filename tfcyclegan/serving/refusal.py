"""The exception that refuses a request."""


class Refused(Exception):
    """The request is not served.

    Attributes:
        status: HTTP status: 400 wrong, 413 too large, 500 the model failed, 503 not now.
        message: one line for the client.
    """

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status
        self.message = message
