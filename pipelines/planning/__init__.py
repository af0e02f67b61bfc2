"""What a run would cost, before it is begun.

inputs     what there is to do: counts, bytes, and a sample of it
sample     the sample's backgrounds removed here, without writing: seconds, CPU, bytes of each
timing     ... and how much of that is the model
flops      the arithmetic of a picture in the model, for GPUs that are not here
prices     dollars for machines, requests and storage, and their date
costs      bytes that cross shuffles, and requests, of each picture or shard
forecast   of all of these: hours, dollars and limits, by machine and number
shown      ... as text and as JSON
"""
