"""Tuning: pictures and settings -> the settings under which they are done fastest here.

sample      some of the pictures that inputs and lists name
arms        settings, opened: a round does the sample's pictures once, and nothing is written
base        the settings as they were: what they do with the sample
interval    seconds of rounds, in pairs -> how much faster, and how sure that is
factors     what may be turned, and how far, on this machine
search      one factor after the other, each against what has won so far
told        what was tried, as a table, and what won, as a settings file
"""
