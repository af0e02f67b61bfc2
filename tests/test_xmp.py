"""XMP of outputs: what of a photo's packet readers find in each format, and what is left out."""

from typing import Any, Dict, List
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL.PngImagePlugin import PngInfo
from support import kinds
from support.kinds import saved
from test_formats import WAYS, a_photos_exif, tags, through
from test_formats import session as session

from rembg_beam.transforms.pictures import xmp

PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
 <rdf:Description rdf:about="uuid:7" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
   xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:dji="http://www.dji.com/drone-dji/1.0/"
   tiff:Orientation="6" tiff:Make="Canon &amp; &quot;Co&quot;" exif:GPSLatitude="52,31N"
   dji:Lat="52.5" exif:PixelXDimension="4000" plain="1">
  <dc:creator xmlns:dc="http://purl.org/dc/elements/1.1/">
   <rdf:Seq><rdf:li>J\u00fcrgen &lt;M&gt;</rdf:li></rdf:Seq></dc:creator>
  <exif:GPSLongitude>13,24E</exif:GPSLongitude>
  <i:LocationCreated xmlns:i="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"><rdf:Bag>
   <rdf:li rdf:parseType="Resource" exif:GPSAltitude="9"><i:City>Berlin</i:City>
    <exif:GPSLongitude>13,25E</exif:GPSLongitude><dji:Lat>52.6</dji:Lat></rdf:li></rdf:Bag>
  </i:LocationCreated>
 </rdf:Description>
 <rdf:Description rdf:about="uuid:7" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
   tiff:Orientation="6" xmlns:mm="http://ns.adobe.com/xap/1.0/mm/" mm:DocumentID="d"/>
</rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""
XMP = PACKET.encode()


def properties(packet: bytes) -> List[str]:
    """All that a packet says: elements with their texts, and attributes, by their names."""
    root = ElementTree.fromstring(packet.decode("utf-8-sig"))
    found = [(each.tag, each.text) for each in root.iter() if (each.text or "").strip()]
    found += [pair for each in root.iter() for pair in each.items() if pair[1]]
    return sorted(f"{tag.rpartition('}')[2]}={value}" for tag, value in found)


OF_ANY = ["City=Berlin", 'Make=Canon & "Co"', "li=Jürgen <M>", "parseType=Resource"]
PLACE = ["GPSAltitude=9", "GPSLatitude=52,31N", "GPSLongitude=13,24E", "GPSLongitude=13,25E"]


@pytest.mark.parametrize("container", ["JPEG", "TIFF", "PNG", "WEBP", "AVIF"])
def test_xmp_is_of_the_photo_alone(container: str) -> None:
    more: Dict[str, Any] = {"xmp": XMP}
    if container == "PNG":
        more = {"pnginfo": PngInfo()}
        more["pnginfo"].add_itxt("XML:com.adobe.xmp", PACKET)
    if container == "TIFF":
        more = {"tiffinfo": {700: XMP}}
    data = saved(kinds.rgb(), container, **more)
    turned = through(data, keep=("xmp",))
    assert properties(turned.info["xmp"]) == sorted(OF_ANY)
    assert turned.size == kinds.rgb().size[::-1], "as Pillow, which takes the orientation from XMP"
    assert turned.getexif().get(274, 1) == 1
    with_place = through(data, keep=("xmp", "gps")).info["xmp"]
    assert properties(with_place) == sorted(OF_ANY + PLACE)
    assert xmp.kept(with_place, gps=True) == with_place


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_every_format_has_xmp_if_it_is_asked(way: Dict[str, Any]) -> None:
    data = saved(kinds.rgb(), "JPEG", exif=a_photos_exif(), xmp=XMP, dpi=(300, 300))
    found = through(data, keep=("xmp", "exif", "dpi"), **way)
    assert properties(found.info["xmp"]) == sorted(OF_ANY) and tags(found)[271] == "Canon"
    alone = through(data, keep=("xmp",), **way)
    assert alone.info["xmp"] == found.info["xmp"] and {*tags(alone)} <= {700}
    alone.load()
    for keep in (("exif", "gps"), None):
        assert "xmp" not in through(data, keep=keep, **way).info


@pytest.mark.parametrize(
    "packet",
    [
        *(b"", b"\xff", b"<a", b"<a/>", b"<!DOCTYPE a>" + XMP, XMP[:-99], XMP * 2, b"\0"),
        pytest.param(XMP.replace(b"52,31N", b"9" * 500_000), id="too large"),
        pytest.param(XMP.replace(b"Berlin", b"B" * 65_000), id="too large for JPEG"),
        pytest.param(XMP.replace(b"Berlin", b"<rdf:li>" * 9999 + b"</rdf:li>" * 9999), id="deep"),
        XMP.replace(b"adobe.com", b"example.com").replace(b"purl", b"url").replace(b"iptc", b"i"),
        XMP.decode("utf-8-sig").encode("utf-16"),
    ],
)
def test_xmp_of_no_use_is_left_out(packet: bytes) -> None:
    assert xmp.kept(packet, gps=True) is None


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_broken_xmp_never_fails(data: Any) -> None:
    """Some bytes changed: what comes out is a packet of which as much is kept again."""
    whole = bytearray(XMP)
    for at in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=8)):
        whole[at] = data.draw(st.integers(0, 255))
    found = xmp.kept(bytes(whole), gps=False)
    assert found is None or xmp.kept(found, gps=True) == found
