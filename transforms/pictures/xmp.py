"""XMP as bytes -> what of it an output may have, as bytes.

In: a picture's XMP packet (ISO 16684-1), RDF in XML, in UTF-8. Out: a packet with the properties
that tell of the photo: who made it, what it shows, when and with what, whose it is. They are kept
by name, of known namespaces alone. What is left out is not true of the output, which is another
file: orientation, which has been applied, sizes, colours, thumbnails, regions, identifiers and
history; and so are unknown namespaces, such as a drone's, which may say where it was. Coordinates,
`GPSLatitude` and all others of such names, also within structures, are there if they are asked for.

Nothing here fails: what is no XMP, or too large, is None.
"""

from typing import Dict, FrozenSet, Iterable, NamedTuple, Optional, Tuple
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

# Bytes of a packet that is written, as a JPEG's segment has room for; and of one that is read.
_ROOM, _MOST = 65_000, 500_000

# Of elements and attributes, as the parser has them: namespace and name.
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_XML = "{http://www.w3.org/XML/1998/namespace}"

_BEGIN = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
_END = '<?xpacket end="w"?>'


class _Space(NamedTuple):
    """A namespace: its usual prefix, and which of its properties are kept: those of `only`, or if
    there are none all but those of `but`."""

    prefix: str
    only: FrozenSet[str] = frozenset()
    but: FrozenSet[str] = frozenset()

    def keeps(self, name: str) -> bool:
        return name in self.only if self.only else name not in self.but


def _space(prefix: str, only: str = "", but: str = "") -> _Space:
    return _Space(prefix, frozenset(only.split()), frozenset(but.split()))


_SPACES: Dict[str, _Space] = {
    "{http://purl.org/dc/elements/1.1/}": _space("dc", but="format"),
    "{http://ns.adobe.com/xap/1.0/}": _space(
        "xmp", "CreateDate CreatorTool Label MetadataDate ModifyDate Nickname Rating"
    ),
    "{http://ns.adobe.com/xap/1.0/rights/}": _space("xmpRights"),
    "{http://ns.adobe.com/tiff/1.0/}": _space(
        "tiff", "Artist Copyright DateTime ImageDescription Make Model Software"
    ),
    "{http://ns.adobe.com/exif/1.0/}": _space(
        "exif",
        but="ColorSpace ComponentsConfiguration CompressedBitsPerPixel MakerNote NativeDigest "
        "PixelXDimension PixelYDimension RelatedSoundFile",
    ),
    "{http://cipa.jp/exif/1.0/}": _space("exifEX", but="InteroperabilityIndex"),
    "{http://ns.adobe.com/exif/1.0/aux/}": _space("aux"),
    "{http://ns.adobe.com/photoshop/1.0/}": _space(
        "photoshop",
        "AuthorsPosition CaptionWriter Category City Country Credit DateCreated Headline "
        "Instructions Source State SupplementalCategories TransmissionReference Urgency",
    ),
    "{http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/}": _space("Iptc4xmpCore"),
    "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}": _space("Iptc4xmpExt", but="ImageRegion"),
    "{http://ns.useplus.org/ldf/xmp/1.0/}": _space("plus"),
    "{http://creativecommons.org/ns#}": _space("cc"),
    "{http://ns.adobe.com/lightroom/1.0/}": _space("lr"),
}

_PREFIXES = {**{space: each.prefix for space, each in _SPACES.items()}, _RDF: "rdf", _XML: "xml"}


def kept(data: Optional[bytes], *, gps: bool) -> Optional[bytes]:
    """What an output has of a picture's XMP; None if that is nothing.

    Args:
      data: the packet; None if there is none.
      gps: keep where it was taken.
    """
    if not data or len(data) > _MOST:
        return None
    try:
        text = data.decode("utf-8-sig").rstrip("\0")
        if "<!DOCTYPE" in text:  # it may define entities, which grow
            return None
        root = ElementTree.fromstring(text)
        trees = [root] if root.tag == f"{_RDF}RDF" else root.findall(f"{_RDF}RDF")
        described = [each for tree in trees for each in tree.findall(f"{_RDF}Description")]
        body = "".join(_description(each, gps) for each in described)
    except (ValueError, ElementTree.ParseError, RecursionError):
        return None
    packet = _packet(body)
    return packet if body and len(packet) <= _ROOM else None


def _packet(body: str) -> bytes:
    spaces = [(prefix, space[1:-1]) for space, prefix in _PREFIXES.items() if space != _XML]
    declared = "".join(
        f' xmlns:{prefix}="{space}"' for prefix, space in spaces if f"{prefix}:" in body
    )
    tree = f"<rdf:RDF{declared}>{body}</rdf:RDF>"
    return f'{_BEGIN}<x:xmpmeta xmlns:x="adobe:ns:meta/">{tree}</x:xmpmeta>{_END}'.encode()


def _description(node: ElementTree.Element, gps: bool) -> str:
    """The text of a description; "" of one that has no property that is kept."""
    simple = [(tag, value) for tag, value in node.items() if _is_kept(tag, gps)]
    properties = "".join(_element(each, gps) for each in node if _is_kept(each.tag, gps))
    if not (simple or properties):
        return ""
    return _text("rdf:Description", [(f"{_RDF}about", ""), *simple], properties)


def _element(node: ElementTree.Element, gps: bool) -> str:
    """The text of a property, or of what is in one."""
    below = [each for each in node if _may_be_below(each.tag, gps)]
    inner = "".join(_element(each, gps) for each in below) if len(node) else escape(node.text or "")
    attributes = [(tag, value) for tag, value in node.items() if _may_be_below(tag, gps)]
    return _text(_name(node.tag), attributes, inner)


def _text(name: str, attributes: Iterable[Tuple[str, str]], inner: str) -> str:
    told = "".join(f" {_name(tag)}={quoteattr(value)}" for tag, value in attributes)
    return f"<{name}{told}>{inner}</{name}>"


def _name(tag: str) -> str:
    space, name = _split(tag)
    return f"{_PREFIXES[space]}:{name}"


def _is_kept(tag: str, gps: bool) -> bool:
    """Whether a property is."""
    space, name = _split(tag)
    return space in _SPACES and _SPACES[space].keeps(name) and _may_be_below(tag, gps)


def _may_be_below(tag: str, gps: bool) -> bool:
    """Whether what is in a property may stay."""
    space, name = _split(tag)
    return space in _PREFIXES and (gps or "gps" not in name.lower())


def _split(tag: str) -> Tuple[str, str]:
    """Namespace and name.

    >>> _split("{adobe:ns:meta/}xmpmeta")
    ('{adobe:ns:meta/}', 'xmpmeta')
    """
    space, bracket, name = tag.rpartition("}")
    return space + bracket, name
