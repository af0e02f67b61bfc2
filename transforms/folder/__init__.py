"""What an output folder remembers: its settings, rows of its runs, and what is done.

layout     its files besides pictures
record     what it was made with
presence   which other runs are at work on it
manifest   outcomes -> a Parquet data set
summary    outcomes -> counts, as JSON
earlier    the rows of earlier runs
resume     settings, files and rows -> what is done with a picture, as a table of rules
existing   ... applied to all sources of a run
"""
