"""How work is done in a process, whatever it is.

concurrency  a DoFn with threads
step         ... that counts, and whose failures come out on a tag
memory       a budget of bytes in flight
failures     where an exception becomes a row
metrics      counts and times, for the runner and the command
grouping     values of one key, brought together on this machine's disk
shared       ... of several processes, for the one that started them
slow         what takes long is named meanwhile
stdout       what is printed in a worker process holds nothing up
"""
