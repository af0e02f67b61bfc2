"""Beam's coders of the records in `elements`: to import this is to register them.

RowCoders are deterministic, small, and readable from other Beam languages.
"""

from apache_beam import coders

from .elements import Cutout, Facts, Failure, Outcome, Part, Source, Stored

for _record in (Source, Facts, Stored, Part, Cutout, Failure, Outcome):
    coders.registry.register_coder(_record, coders.RowCoder)
