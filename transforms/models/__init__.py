"""From a model's name to a live session.

    catalogue   the models there are, and rembg's session class of each
    providers   the execution providers: rembg's users' names, onnxruntime's, and what to install
    sessions    a `SessionConfig` -> one rembg session per process

Importing this needs no onnxruntime; opening a session does.
"""
