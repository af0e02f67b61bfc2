"""Bytes in and out: which pictures there are, what outputs are called, reading and writing files.

    sources   patterns, folders and lists -> `Source` records
    naming    a picture's URI -> the relative name of its output
    files     URI -> bytes, and bytes -> a file that is whole or absent; the door to the stores

    local     files of this machine
    web/      http:// and https://, by urllib3; only to read
    gcs       gs://, by google-cloud-storage
    remote    whatever else Beam's FileSystems open

and what the stores share: `listed` (a file of a listing), `limits` (the cap on what is read),
`refusals` (a server's answer as Python's own exception), `retrying` (what may pass, and another
attempt). Knows no Beam transform, only Beam's FileSystems.
"""
