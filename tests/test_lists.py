"""What the lines of an input list name."""

import pytest

from rembg_beam.transforms import Source
from rembg_beam.transforms.storage import lists


@pytest.mark.parametrize(
    ("line", "source"),
    [
        ("gs://b/a.jpg", Source("gs://b/a.jpg")),
        ("  a b.jpg \n", Source("a b.jpg")),
        ('{"uri": "a.jpg"}', Source("a.jpg")),
        (
            '{"uri": "a.jpg", "name": "x", "extras": {"k": 1}, "sku": 7}',
            Source("a.jpg", "x", '{"k": 1}', '{"sku": 7}'),
        ),
    ],
)
def test_lines(line: str, source: Source) -> None:
    assert lists.parse_line(line) == source


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"uri": "a.jpg"', "not a JSON object"),
        ('{"name": "a.jpg"}', "`uri` is null"),
        ('{"uri": ""}', '`uri` is ""'),
        ('{"uri": "a.jpg", "name": 7}', "`name` is 7"),
        ('{"uri": "a.jpg", "extras": []}', r"`extras` is \[\]"),
    ],
)
def test_bad_lines_say_why(line: str, message: str) -> None:
    with pytest.raises(lists.BadLine, match=message):
        lists.parse_line(line)
