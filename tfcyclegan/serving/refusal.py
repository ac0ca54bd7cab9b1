"""The one way in which a request is turned down."""


class Refused(Exception):
    """The request is not served.

    Attributes:
        status: of HTTP: 400 wrong, 413 too large, 500 the model failed, 503 not now.
        message: one line for the client.
    """

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status
        self.message = message
