"""What an output folder remembers: rows of its runs, and what is done.

layout     what lies where in it
manifest   outcomes -> a Parquet data set
summary    outcomes -> counts, as JSON
earlier    the rows of earlier runs
existing   ... and a listing -> which pictures are done
"""
