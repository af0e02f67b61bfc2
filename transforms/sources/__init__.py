"""Which pictures there are: patterns, folders and lists -> distinct `Source` records.

patterns      a pattern or folder -> its pictures
passed_over   ... and what is left out of a folder for its suffix
list_formats  what a list is, by its first bytes
lists         a list -> its lines -> sources
readers       ... which of them reads a list, by its suffix
find          the transforms of both
distinct      sources no two of which have the same output
"""
