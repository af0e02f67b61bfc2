"""The suffixes that pictures are known by, in lower case."""

PICTURE_SUFFIXES = frozenset(
    [
        *(".avif", ".bmp", ".gif", ".png", ".tif", ".tiff", ".webp"),
        *(".jfif", ".jpe", ".jpeg", ".jpg", ".mpo"),
        *(".j2k", ".jp2", ".jpx"),
        *(".heic", ".heif"),
    ]
)
