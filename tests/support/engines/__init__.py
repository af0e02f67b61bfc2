"""Engines that run a Beam job elsewhere than in the process that started it, on loopback.

pool       Beam's worker pool, whose workers have the built wheel and not this checkout
prism      Beam's Prism, which starts with the command and ends with it
downloads  what these are made of, from package registries into `.engines/`
job        the job that each is given, and what is compared
"""
