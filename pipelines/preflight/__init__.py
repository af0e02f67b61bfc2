"""What contradicts itself in a run, said before a job is sent. Nothing here reaches a network.

plan          what a run was told, as rules ask for it
machines      Google's machine types: cores, memory, which GPUs
images        the versions that an image's name tells
anywhere      rules for every runner
clusters      rules for runners with workers of Beam's containers: Flink, Spark, portable
dataflow      rules for Dataflow: where it runs, its image, its disk and memory
gpus          rules for Dataflow's GPUs
rules         the table of all; a plan -> findings
credentials   whether Dataflow would be let in
dataflow_job  Beam's own job for Dataflow, made in a folder and read back
told          what a runner would be told, in lines
"""
