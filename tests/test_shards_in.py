"""WebDataset shards as inputs: what is read of them, and what damage costs."""

import io
import json
import os
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any, Callable, List, Sequence, Tuple, Union

import pytest
import webdataset
from hypothesis import given, settings
from hypothesis import strategies as st
from support import gs

from rembg_beam.transforms import Source
from rembg_beam.transforms.sources import readers
from rembg_beam.transforms.sources.columns import BadRow, Columns
from rembg_beam.transforms.sources.find import Container, ReadContainers
from rembg_beam.transforms.sources.lists import BadList, NamesNothing
from rembg_beam.transforms.store import blocks, stores

Members = Sequence[Tuple[str, Union[bytes, str]]]


def written(path: Path, members: Members, **more: Any) -> Path:
    with tarfile.open(path, "w", **more) as file:
        for name, data in members:
            info = tarfile.TarInfo(name)
            content = data.encode() if isinstance(data, str) else data
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return path


def read(path: Any, **columns: Any) -> List[Union[Source, BadRow]]:
    return list(readers.read(str(path), "x/0.tar", Columns(**columns)))


def sources(path: Any, **columns: Any) -> List[Source]:
    found = read(path, **columns)
    assert all(isinstance(each, Source) for each in found), found
    return [each for each in found if isinstance(each, Source)]


def metadata(source: Source) -> Any:
    return json.loads(source.metadata)


def test_what_webdataset_writes(tmp_path: Path, encoded: Callable[..., bytes]) -> None:
    pictures = [encoded("JPEG", seed=seed) for seed in range(5)]
    path = tmp_path / "0.tar"
    with webdataset.TarWriter(str(path)) as sink:
        for index, data in enumerate(pictures):
            sample = {"__key__": f"dir.1/{index:06}", "jpg": data, "cls": index, "txt": "a “cup”"}
            depth = bytes([index])
            sink.write({**sample, "json": {"w": 1.0, "tags": [index]}, "depth.npy.bin": depth})
    found = sources(path)
    assert [stores.read(source.uri).data for source in found] == pictures
    assert [source.name for source in found] == [f"x/0.tar/dir.1/{n:06}.jpg" for n in range(5)]
    for index, source in enumerate(found):
        fields = metadata(source)
        assert stores.read(fields.pop("depth.npy.bin")).data == bytes([index])
        assert fields == {"cls": index, "txt": "a “cup”", "w": 1.0, "tags": [index]}
        assert isinstance(fields["w"], float)


def test_our_own_output_is_an_input(tmp_path: Path) -> None:
    kept: Members = [
        *(("k-0.image.jpg", b"original"), ("k-0.mask.png", b"mask"), ("k-0.cutout.png", b"cut")),
        ("k-0.json", json.dumps({"uri": "gs://b/k.0.jpg", "name": "k.0.jpg", "sku": 7})),
        *(("k-1.cutout.png", b"cut"), ("k-1.image.webp", b"original"), ("k-1.mask.png", b"mask")),
    ]
    found = sources(written(tmp_path / "0.tar", kept))
    assert [stores.read(each.uri).data for each in found] == [b"original", b"original"]
    assert [each.name for each in found] == ["x/0.tar/k-0.image.jpg", "x/0.tar/k-1.image.webp"]
    fields = metadata(found[0])
    assert stores.read(fields.pop("mask.png")).data == b"mask"
    assert stores.read(fields.pop("cutout.png")).data == b"cut"
    assert fields == {"uri": "gs://b/k.0.jpg", "name": "k.0.jpg", "sku": 7}
    found = sources(tmp_path / "0.tar", uri_column="cutout.png", name_column="sku")
    assert [stores.read(each.uri).data for each in found] == [b"cut", b"cut"]
    assert [each.name for each in found] == ["7", "x/0.tar/k-1.cutout.png"]


def test_what_img2dataset_writes_is_an_input(tmp_path: Path) -> None:
    note = {"url": "https://host/a.jpg", "caption": "a “cup”", "key": "000000017", "width": 256}
    note |= {"status": "success", "error_message": None, "exif": "{}", "similarity": 0.5}
    kept: Members = [
        ("000000017.jpg", b"a"),
        ("000000017.json", json.dumps(note)),
        ("000000017.txt", "a"),
    ]
    (found,) = sources(written(tmp_path / "0.tar", kept))
    assert stores.read(found.uri).data == b"a" and found.name == "x/0.tar/000000017.jpg"
    assert metadata(found) == {**note, "txt": "a"}


any_key = st.binary(min_size=1, max_size=120).map(
    lambda data: data.decode("utf-8", "surrogateescape")
)


@settings(max_examples=50, deadline=None)
@given(st.sets(any_key.filter(lambda key: not set(key) & {"/", ".", "\0"}), max_size=5), st.data())
def test_any_name_comes_back(keys: Any, data: Any) -> None:
    format = data.draw(st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]))
    kept = [(f"{key}.jpg", bytes([index])) for index, key in enumerate(sorted(keys))]
    kept = [each for each in kept if not each[0].startswith("__")]
    with tempfile.TemporaryDirectory() as folder:
        found = sources(written(Path(folder) / "0.tar", kept, format=format))
        assert [stores.read(each.uri).data for each in found] == [content for _, content in kept]
    assert len({each.name for each in found}) == len(kept)
    for each in found:
        each.uri.encode()


@pytest.mark.parametrize(
    ("kinds", "picture"),
    [
        (["depth.png", "jpg", "json"], "jpg"),
        (["mask.png", "depth.png", "upper.cutout.png"], "depth.png"),
        (["mask.png", "photo.JPEG"], "photo.JPEG"),
        (["mask.png"], "mask.png"),
        (["png", "image.jpg"], "image.jpg"),
        (["WebP", "txt"], "WebP"),
    ],
)
def test_the_picture_of_a_sample(kinds: List[str], picture: str, tmp_path: Path) -> None:
    kept = [(f"a.{kind}", "{}" if kind == "json" else kind) for kind in kinds]
    (found,) = sources(written(tmp_path / "0.tar", kept))
    assert stores.read(found.uri).data == picture.encode()


def test_members_as_archivers_write_them(tmp_path: Path) -> None:
    """Folders, links, names of bytes and of any length, hidden files, and notes."""
    path = tmp_path / "0.tar"
    latin = "\udce9.jpg"
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as file:
        for name, kind in [("./", tarfile.DIRTYPE), ("./b.jpg", tarfile.SYMTYPE)]:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "a.jpg"
            file.addfile(info)
        for name in ("./a.jpg", "/b.jpg", "x" * 200 + ".jpg", "sub/._a.jpg", "README", latin):
            info = tarfile.TarInfo(name)
            info.size = 3
            file.addfile(info, io.BytesIO(b"abc"))
        file.addfile(tarfile.TarInfo("__shard__.json"))
    found = sources(path)
    names = ["a.jpg", "b.jpg", "x" * 200 + ".jpg", r"\xe9.jpg"]
    assert [each.name for each in found] == [f"x/0.tar/{name}" for name in names]
    assert {stores.read(each.uri).data for each in found} == {b"abc"}
    assert sum("%E9.jpg" in each.uri for each in found) == 1


def test_notes_are_passed_over_as_webdataset_does(tmp_path: Path) -> None:
    names = ["__a__.jpg", "x/__b__.jpg", "x/__c__/d.jpg", "__e__/f.jpg", "__g__", "h.jpg"]
    path = written(tmp_path / "0.tar", [(name, name) for name in names])
    there = list(webdataset.WebDataset(str(path), shardshuffle=False))
    found = [stores.read(each.uri).data for each in sources(path)]
    assert found == [each["jpg"] for each in there] and len(found) == 4


def test_tar_files_in_a_row_are_one(tmp_path: Path) -> None:
    first = written(tmp_path / "1.tar", [("a.jpg", b"a"), ("a.txt", "A")])
    second = written(tmp_path / "2.tar", [("b.jpg", b"b")])
    both = tmp_path / "0.tar"
    both.write_bytes(first.read_bytes() + second.read_bytes())
    assert [stores.read(each.uri).data for each in sources(both)] == [b"a", b"b"]


def bad(found: List[Union[Source, BadRow]]) -> List[Tuple[str, str, str]]:
    return [(e.where, e.text, str(e.error)) for e in found if isinstance(e, BadRow)]


def keys(found: List[Union[Source, BadRow]]) -> List[str]:
    names = (str(e.name) for e in found if isinstance(e, Source))
    return [name.removeprefix("x/0.tar/").partition(".")[0] for name in names]


def test_samples_that_can_not_be_used(tmp_path: Path) -> None:
    path = written(
        tmp_path / "0.tar",
        [
            *(("a.jpg", b"a"), ("b.txt", "no picture"), ("c.jpg", b"c"), ("a.jpg", b"again")),
            *(("d.jpg", b"d"), ("d.JPG", b"d2"), ("e.jpg", b"e"), ("e.json", "{")),
            *(("f.jpg", b"f"), ("f.txt", b"\xff"), ("g.jpg", b"g"), ("g.json", '{"extras": 7}')),
            *(("h.jpg", b"h"), ("h.json", '{"x": NaN, "y": null}'), ("i.jpg", b""), ("i.cls", "b")),
        ],
    )
    found = read(path)
    assert keys(found) == ["a", "c", "h", "i"]
    assert [(text, said.split(": ", 1)[1][:24]) for _, text, said in bad(found)] == [
        ("b", "it has no picture: it ha"),
        ("a", "its key came before: mem"),
        ("d", "it has two members jpg"),
        ("e", "its member json can't be"),
        ("f", "its member txt can't be "),
        ("g", "its `extras` is 7 and mu"),
    ]
    with tarfile.open(path) as file:
        offsets = [info.offset_data for info in file]
    assert [where for where, *_ in bad(found)][:2] == [f"byte {offsets[n]}" for n in (1, 3)]
    assert metadata(found[-2]) == {"x": None, "y": None}  # type: ignore[arg-type]
    assert metadata(found[-1]) == {"cls": "b"}  # type: ignore[arg-type]


def test_a_bad_sample_whose_key_is_not_utf8_is_a_row(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xe9.txt")
    path = written(tmp_path / "0.tar", [(name, "no picture"), ("a.jpg", b"a")], encoding="utf-8")
    failed, found = ReadContainers(Columns()).process(Container(str(path), "0.tar"))
    source, why = failed.value
    assert source.uri == r"\udce9" and r"'\udce9'" in why.message
    assert all(str(each).encode() for each in (source, why)) and found.name == "0.tar/a.jpg"


@pytest.fixture
def shard(tmp_path: Path, encoded: Callable[..., bytes]) -> Path:
    members: List[Tuple[str, bytes]] = []
    for index in range(20):
        data = encoded("JPEG", seed=index)
        members += [(f"{index:03}.jpg", data), (f"{index:03}.json", b'{"n": %d}' % index)]
    return written(tmp_path / "0.tar", members)


def test_a_broken_header_costs_its_own_sample(shard: Path) -> None:
    data = bytearray(shard.read_bytes())
    with tarfile.open(shard) as file:
        start = file.getmember("007.jpg").offset
        behind = file.getmember("007.json").offset
    data[start : start + 512] = b"\xa5" * 512
    shard.write_bytes(data)
    found = read(shard)
    assert keys(found) == [f"{n:03}" for n in range(20) if n != 7]
    (lost, alone) = bad(found)
    assert lost[:2] == (f"byte {start}", str(shard)) and alone[1] == "007"
    assert f"up to byte {behind}: what lay there is lost; before it 7 samples" not in lost[2]
    assert f"no member begins up to byte {behind}" in lost[2]
    assert all(stores.read(e.uri).data[:2] == b"\xff\xd8" for e in found if isinstance(e, Source))


@pytest.mark.parametrize("size", [1 << 60, -512, -(1 << 60)])
@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.REGTYPE])
def test_a_header_of_a_size_that_can_not_be_costs_itself(
    size: int, kind: bytes, tmp_path: Path
) -> None:
    """It is not taken for so much memory, nor for a way back."""
    path, found = tmp_path / "0.tar", tarfile.TarInfo("b.jpg")
    with tarfile.open(path, "w") as file:
        for name in ("a.jpg", "c.jpg"):
            info = tarfile.TarInfo(name)
            info.size = 1
            file.addfile(info, io.BytesIO(b"x"))
            if name == "a.jpg":
                found.size, found.type = size, kind
                at = file.offset
                file.fileobj.write(found.tobuf(tarfile.GNU_FORMAT))
                file.offset += 512
    came = read(path)
    assert keys(came) == (["a"] if kind == tarfile.REGTYPE and size > 0 else ["a", "c"])
    ((where, _, said),) = bad(came)
    if kind == tarfile.REGTYPE and size > 0:
        assert "it is cut off" in said
    else:
        assert where == f"byte {at}" and f"up to byte {at + 512}: what lay there is lost" in said


def test_a_stretch_of_rubbish_costs_what_lay_there(shard: Path) -> None:
    data = bytearray(shard.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 5_000] = bytes(range(250)) * 20
    shard.write_bytes(data)
    found = read(shard)
    assert 12 <= len(keys(found)) < 20 and keys(found)[-1] == "019"
    assert len(bad(found)) in (1, 2, 3)


def test_a_shard_that_is_cut_off_says_how_far(shard: Path) -> None:
    data = shard.read_bytes()
    with tarfile.open(shard) as file:
        picture, note = file.getmember("012.jpg"), file.getmember("012.json")
    for end in (picture.offset_data + 9, note.offset_data + 3):
        shard.write_bytes(data[:end])
        found = read(shard)
        assert keys(found) == [f"{n:03}" for n in range(12)]
        ((where, text, said),) = bad(found)
        assert (where, text) == (f"byte {end}", str(shard))
        assert "in the sample '012', after 12 samples, the last '011': it is cut off" in said
    for end in (note.offset, note.offset + 100, note.offset + 512):
        shard.write_bytes(data[:end])
        found = read(shard)
        assert keys(found)[:12] == [f"{n:03}" for n in range(12)]
        assert len(bad(found)) == 1 and "it is cut off" in bad(found)[0][2]


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_any_broken_block_of_headers_costs_one_sample(format: int, tmp_path: Path) -> None:
    """Names of several blocks among them."""
    names = [f"{'ä' * 120}{n}.jpg" for n in range(6)]
    path = written(
        tmp_path / "0.tar", [(name, bytes([65 + n]) * 700) for n, name in enumerate(names)]
    )
    whole = path.read_bytes()
    with tarfile.open(path) as file:
        headers = [
            (n, at) for n, i in enumerate(file) for at in range(i.offset, i.offset_data, 512)
        ]
    for number, at in headers:
        data = bytearray(whole)
        data[at : at + 512] = b"\xff" * 512
        path.write_bytes(data)
        found = [e for e in read(path) if isinstance(e, Source)]
        contents = {stores.read(each.uri).data for each in found}
        expected = {bytes([65 + n]) * 700 for n in range(6) if n != number}
        assert expected <= contents <= expected | {bytes([65 + number]) * 700}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.tar", b"", "the file is empty"),
        ("a.tar", b"<html>" * 1000, "no tar file"),
        ("a.tar", b"<html>", "no tar file"),
        ("a.tar", bytes(10240), "it holds no sample"),
        ("a.tar", b"\x1f\x8b\x08" + bytes(100), "compressed: unpack it"),
        ("a.tar.gz", b"\x1f\x8b\x08" + bytes(100), "unpack it to a .tar"),
        ("a.TGZ", b"\x1f\x8b\x08" + bytes(100), "unpack it to a .tar"),
    ],
)
def test_what_is_no_shard(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadList, match=said):
        readers.check(str(tmp_path / name), Columns())
    if any(content):  # so is one of several, which is not looked at before the run
        with pytest.raises(BadList, match=said):
            read(tmp_path / name)


@pytest.mark.parametrize("format", ["gnu", "posix"])
def test_a_sparse_member_costs_itself(format: str, tmp_path: Path) -> None:
    """Also where it would be larger than its shard."""
    for name in ("a.jpg", "c.jpg"):
        (tmp_path / name).write_bytes(b"abc")
    with open(tmp_path / "b.jpg", "wb") as file:
        file.seek(1 << 20)
        file.write(b"x" * 5000)
    names = ["a.jpg", "b.jpg", "c.jpg"]
    packing = ["tar", "--sparse", f"--format={format}", "-cf", "0.tar", *names]
    subprocess.run(packing, cwd=tmp_path, check=True)
    found = read(tmp_path / "0.tar")
    pictures = [each.uri for each in found if isinstance(each, Source)]
    assert [stores.read(uri).data for uri in pictures] == [b"abc", b"abc"]
    (bad,) = [each for each in found if isinstance(each, BadRow)]
    assert "no member begins up to byte" in str(bad.error)


def test_a_shard_without_pictures_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "0.tar", [("a.txt", "a"), ("b.txt", "b")])
    with pytest.raises(BadList, match=r"byte 512: the sample 'a': it has no picture: it has txt"):
        readers.check(str(path), Columns())
    path = written(tmp_path / "0.tar", [("a.jpg", "a"), ("a.png", "b")])
    readers.check(str(path), Columns())
    readers.check(str(path), Columns(uri_column=".PNG"))
    with pytest.raises(BadList, match="no member webp, as --uri_column asks for: it has jpg, png"):
        readers.check(str(path), Columns(uri_column="webp"))


def test_a_shard_of_folders_alone_is_an_empty_one(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "0.tar", "w") as file:
        file.add(tmp_path, "x", recursive=False)
    with pytest.raises(NamesNothing, match="it holds no sample"):
        readers.check(str(tmp_path / "0.tar"), Columns())
    assert read(tmp_path / "0.tar") == []


def test_a_remote_shard_is_listed_by_blocks(
    shard: Path, emulator: gs.Emulator, proxy: gs.Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 8_000)
    monkeypatch.setattr(stores, "_blocks", blocks.Blocks())
    data = shard.read_bytes()
    emulator.put("gs://b/0.tar", data)
    found = sources("gs://b/0.tar")
    assert [metadata(each)["n"] for each in found] == list(range(20))
    assert proxy.counts() == {"stat": 1, "read": -(-len(data) // 8_000)}
    assert found[3].uri.startswith("gs://b/0.tar#member=003.jpg&at=")
