"""Progress: what is counted while a run is at work -> what a person or a machine sees of it.

counted       counts of this process, of those it started, and of another engine's job
state         counts over time -> how far it is, how fast, and how long it takes
shown         a bar, lines or JSON on stderr
exporter      the same for Prometheus, at a port
"""
