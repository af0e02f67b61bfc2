"""The command `rembg-beam`: settings -> graph -> run.

settings   flags and a YAML file -> checked `Settings`, and where each value comes from
graph      settings -> the pipeline's transforms
progress   what a person sees while it runs
run        the command itself: exit status, summary, Ctrl-C
"""
