"""Charts: histograms -> SVG that stands within a page, takes its colours, and runs nothing.

In: a `Histogram`. Out: the text of an `<svg>` element. Fails with `ImportError` without pygal.
"""

import xml.etree.ElementTree as ElementTree
from typing import Any, List

from .numbers import Histogram

_WIDTH, _HEIGHT = 440, 220

# Of the labels below the bars, every so many.
_LABELS_EVERY = 6

_STYLE = {
    **dict.fromkeys(("background", "plot_background"), "transparent"),
    **dict.fromkeys(("foreground", "foreground_strong", "foreground_subtle"), "currentColor"),
    **{"opacity": "1", "opacity_hover": "0.75", "font_family": "inherit"},
    **{"guide_stroke_color": "currentColor", "major_guide_stroke_color": "currentColor"},
    **{"label_font_size": 11, "major_label_font_size": 11, "transition": "0s"},
}


def histogram(found: Histogram, colour: str) -> str:
    """The histogram in bars of a colour, each with its count and bounds as a title."""
    import pygal
    from pygal.style import Style

    chart = pygal.Bar(
        js=[],
        style=Style(colors=(colour,), **_STYLE),
        width=_WIDTH,
        height=_HEIGHT,
        margin=4,
        spacing=4,
        show_legend=False,
        disable_xml_declaration=True,
        show_minor_x_labels=False,
        truncate_label=-1,
        value_formatter=lambda count: f"{int(count):,}",
    )
    edges = list(map(_short, found.edges))
    # pygal knows labels by their text: those that aren't shown must not be equal to one that is.
    chart.x_labels_major = edges[:-1:_LABELS_EVERY]
    chart.x_labels = [
        "" if number % _LABELS_EVERY else edge for number, edge in enumerate(edges[:-1])
    ]
    chart.y_labels = sorted({0, -(-max(found.counts) // 2), max(found.counts)})
    bars: List[Any] = [
        {"value": count, "label": f"{low} to {high} {found.unit}"}
        for count, low, high in zip(found.counts, edges, edges[1:])
    ]
    chart.add(found.title, bars)
    return _bare(chart.render(is_unicode=True))


def _bare(text: str) -> str:
    """The SVG without scripts, comments, links, and names that differ each time."""
    root = ElementTree.fromstring(text)
    for parent in root.iter():
        for child in [each for each in parent if each.tag.endswith("}script")]:
            parent.remove(child)
    identity = root.attrib.pop("id", "")
    ElementTree.register_namespace("", "http://www.w3.org/2000/svg")
    bare = ElementTree.tostring(root, encoding="unicode")
    return bare.replace(f"#{identity}", ".pygal-chart")


def _short(value: float) -> str:
    """
    >>> _short(0.25), _short(1234.5), _short(2_500_000)
    ('0.25', '1.23k', '2.5M')
    """
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"
