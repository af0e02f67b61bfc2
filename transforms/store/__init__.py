"""URI -> bytes, and bytes -> a file that is whole or absent.

    uris        what a URI names
    stores      the door: what a store does, and which a URI lies in

    local       files of this machine
    private     ... a process's own folder for what is being written
    web/        http:// and https://, by urllib3; only to read
    gcs         gs://, by google-cloud-storage
    gcs_errors  ... what it raises as Python's own exceptions
    s3          s3://, by boto3
    s3_errors   ... what it raises as Python's own exceptions
    beam_files  whatever else Beam's FileSystems open

    members     the URI of a picture within a shard or a table
    blocks      pieces of files elsewhere, by few requests
    cells       the bytes in a Parquet file's cells

and what the stores share: `listed` (a file of a listing), `limits` (the cap on what is read),
`crc32c` (a checksum), `refusals` (a server's answer as Python's own exception), `retrying` (what
may pass, and another attempt), `hints` (what was meant by a name that is not there). Knows no Beam
transform.
"""
