"""From a model's name to a live session, in the order it happens.

    catalogue   the models there are: files, checksums, licences, and rembg's session class of each
    providers   the execution providers: rembg's users' names, onnxruntime's, and what to install
    config      `SessionConfig`: a model, providers, options; checked, picklable
    weights     the model's files on this machine, whole and genuine
    environment ... where the variables that rembg and numba read make sense
    opening     a configuration -> a rembg session
    placement   ... whose nodes are where they were asked to be
    sessions    one of them per process and configuration
    batching    ... whose graph runs for the pictures of many threads at once
    predicting  a picture and a session -> masks, and the runs they were made of

Importing this needs no onnxruntime; opening a session does.
"""
