"""Engines that run a Beam job in other processes than the command's, on loopback.

pool       Beam's worker pool, whose workers have the built wheel and not this checkout
local      Beam's multi_processing mode, and Prism: they begin and end with the command
flink      Flink with two task managers, and Beam's job server for it
spark      Beam's job server for Spark, with Spark in it
xlang      Python's expansion service with its workers, and Beam's job server and workers for Java
downloads  what these are made of, from package registries into `.engines/`
job        the job that each is given, and what is compared
"""
