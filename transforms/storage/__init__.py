"""Bytes in and out: which pictures there are, what outputs are called, reading and writing files.

    sources   patterns, folders and lists -> `Source` records
    naming    a picture's URI -> the relative name of its output
    files     URI -> bytes, and bytes -> a file that is whole or absent

Knows no Beam transform, only Beam's FileSystems.
"""
