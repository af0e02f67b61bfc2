"""What the bytes of a file can be that is no picture: the classes of a decode step's failures."""


class DecodeError(ValueError):
    """The bytes are no picture that can be read."""


class EmptyFile(DecodeError):
    """The file has no bytes."""


class NotAPicture(DecodeError):
    """The bytes are in none of the known picture formats."""


class TruncatedPicture(DecodeError):
    """The picture ends before its last pixel."""


class BrokenPicture(DecodeError):
    """The picture's data contradicts itself."""


class TooManyPixels(DecodeError):
    """The picture is larger than the cap on pixels, or than its decoder reads."""


class TooManyParts(DecodeError):
    """The picture is made of more parts than any tool writes, each of which costs time."""
