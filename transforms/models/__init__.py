"""From a model's name to a live session, in the order it happens.

    catalogue      the models there are: files, checksums, licences, rembg's session class of each
    providers      the execution providers: rembg's users' names, onnxruntime's, and what to install
    config         `SessionConfig`: a model, providers, options; checked, picklable
    weights        the model's files on this machine, whole and genuine
    environment    ... where the variables that rembg, numba and TensorRT read fit
    opening        a configuration -> a live session, by those below
    rembg_session  rembg's own, made of these files
    libraries      ... with NVIDIA's libraries, where they are for a GPU
    placement      ... whose nodes are where they were asked to be
    precision      ... a graph in fp16, where that is asked for
    proof          ... how far its masks are from the CPU's
    batch_trial    ... which batches its graph takes
    batch_axis     ... and how it is made to take them
    derived        ... files made of a model's file, once per machine
    batching       ... in which the pictures of many threads are run
    first_output   ... and of which the output that rembg reads is fetched
    sessions       one of them per process and configuration
    predicting     a picture and a session -> masks, and the runs they were made of

Importing this needs no onnxruntime; opening a session does.
"""
