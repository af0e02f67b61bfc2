"""What each command does.

run        removes backgrounds, from its flags to its end, Ctrl-C's too
check      tells what a run would send, and what in it contradicts itself
models     lists models and fetches their files
providers  tells which execution providers work
"""
