"""`.huggingface.yaml`: by which `datasets.load_dataset(FOLDER)` opens the shards of a folder.

Without it `datasets` takes the rows in `_manifest/` and `wids.json` for data too. In: the suffix of
the shards' files. Out: the file's bytes.
"""

NAME = ".huggingface.yaml"
MIME_TYPE = "application/yaml"


def config(suffix: str) -> bytes:
    """What files of a folder are its data set.

    >>> config(".tar")
    b'configs:\\n- config_name: default\\n  data_files: "[0-9]*.tar"\\n'
    """
    return f'configs:\n- config_name: default\n  data_files: "[0-9]*{suffix}"\n'.encode()
