"""What each command does.

run        removes backgrounds, from its flags to its end, Ctrl-C's too
check      tells what a run would send, and what in it contradicts itself
plan       tells what a run would take and cost
tune       tries which settings make a run faster here
models     lists models and fetches their files
providers  tells which execution providers work
"""
