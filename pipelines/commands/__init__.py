"""What each command does.

run        removes backgrounds, from its flags to its end, Ctrl-C's too
models     lists models and fetches their files
providers  tells which execution providers work
"""
