"""Doctor: this machine -> what is well here, and what is not.

    line          what is said of one thing, and how bad it is
    packages      what is installed, and whether it fits together
    machine       cores, memory, disk and compiled loops
    models        models and providers, as onnxruntime has them
    stores        credentials of Google Cloud Storage and S3
    picture       a picture, from end to end
    every         all of them, in this order

Each gives lines; what can't be looked at is a line as well. Nothing here raises.
"""
