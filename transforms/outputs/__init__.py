"""Data sets out: what a training loop opens, made of pictures and their rows.

options           what is made
keys              a name of each sample
columns           the user's columns: one type for each, over all pictures
samples           what a picture is in a shard: its key's members, or a row
tar               samples -> a WebDataset shard
embedded_parquet  samples -> Parquet with embedded pictures
writers           samples -> the files of a shard, on this machine
shards            files and rows -> the output folder, whole or not done
plan              which picture goes to which shard
going_on          shards that are there -> what those of a later run take over
tables            rows of values -> a Parquet or CSV file
hugging_face      the shards of a folder -> what `datasets` needs to find them
metadata          files and rows of a folder -> such a table beside the files
"""
