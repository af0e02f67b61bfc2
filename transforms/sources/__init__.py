"""Which pictures there are: patterns, lists and tables -> distinct `Source` records.

patterns      a pattern or folder -> its pictures
suffixes      ... known by their suffixes
passed_over   ... and what is left out of a folder for its suffix
list_formats  what a list is, by its first bytes
lists         a list -> its lines -> sources
columns       a row of a table -> its source
tables        a table -> its rows -> sources
parquet       ... a Parquet file; parquet_layout tells where its pictures lie
shards        a tar file of WebDataset's -> its samples -> sources; tar reads its members
ours          ... of these, what an earlier run of this project said of a picture
readers       which of them reads what, by its suffix
bigquery      a table or query of BigQuery's -> its rows
find          the steps of all these
read_sources  ... in a row: what inputs and lists name
distinct      sources no two of which have the same output
spread        ... over the workers, neighbours in a shard together
"""
