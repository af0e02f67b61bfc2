"""Pictures within shards and tables: their URIs, and how their bytes are read."""

import io
import os
import random
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Dict, List, Optional

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import gs

from rembg_beam.transforms import naming
from rembg_beam.transforms.store import blocks, cells, limits, members, stores, uris
from rembg_beam.transforms.store.members import Cell, TarMember
from rembg_beam.transforms.store.retrying import Tried

# A hundredth of what they are.
BLOCK_BYTES = members.BLOCK_BYTES // 100


@pytest.fixture(autouse=True)
def _nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_BYTES", BLOCK_BYTES)
    monkeypatch.setattr(stores, "_blocks", blocks.Blocks())
    monkeypatch.setattr(stores, "_cursors", cells.Cursors())


any_name = st.binary(max_size=30).map(lambda data: data.decode("utf-8", "surrogateescape"))
any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
number = st.integers(0, 1 << 62)


@given(any_text, any_name, number, number)
def test_any_member_comes_back(folder: str, name: str, offset: int, size: int) -> None:
    member = TarMember(f"{folder}x.tar", name, offset, size)
    assert members.parse(member.uri) == member
    assert members.taken_apart(member.uri)[0] == member.container
    assert "".join(members.taken_apart(member.uri)) == member.uri
    member.uri.encode()
    fragment = members.taken_apart(member.uri)[1]
    assert uris.without_secrets(f"gs://b/x.tar{fragment}") == f"gs://b/x.tar{fragment}"
    assert uris.without_secrets_in(f"<gs://b/x.tar{fragment}>") == f"<gs://b/x.tar{fragment}>"
    assert not uris.hides_secrets(member.uri) or uris.hides_secrets(member.container)


@given(any_text, any_text.filter(bool), number, number)
def test_any_cell_comes_back(folder: str, column: str, group: int, row: int) -> None:
    cell = Cell(f"{folder}x.PARQUET", column, group, row)
    assert members.parse(cell.uri) == cell


@pytest.mark.parametrize(
    "uri",
    [
        *("a#b.jpg", "a.tar", "a.tar#", "a.tar#member=b.jpg", "a.tar#member=b.jpg&at=1+2.jpg"),
        *("a.tgz#member=b.jpg&at=1+2", "a.tar#member=b.jpg&at=-1+2", ".tar#member=b&at=1+2"),
        *("a.parquet#column=&group=0&row=0", "a.parquet#column=b&group=0&row=x"),
    ],
)
def test_all_else_is_a_file(uri: str) -> None:
    assert members.parse(uri) is None
    assert members.taken_apart(uri) == (uri, "")


def test_a_file_whose_name_holds_a_sign_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.tar#member=b.jpg"
    path.write_bytes(b"abc")
    assert stores.read(str(path)).data == b"abc"


def test_a_member_is_named_below_its_shard() -> None:
    name = os.fsdecode("x/ä\\xff%".encode() + b"\xe9.jpg")
    uri = TarMember("gs://b/in/0.tar", name, 512, 9).uri
    assert naming.relative_name(uri, "gs://b/in") == r"0.tar/x/ä\x5cxff%\xe9.jpg"
    local = TarMember("/in/0.tar", "x/a.jpg", 512, 9).uri
    assert naming.relative_name(local, "/in") == "0.tar/x/a.jpg"
    assert naming.relative_name(local) == "in/0.tar/x/a.jpg"
    assert naming.relative_name(local.replace("/in", "file:///in")) == "in/0.tar/x/a.jpg"


# Of which a block holds about 26.
PICTURE_BYTES = 3_000


def _shard(pictures: List[bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for index, data in enumerate(pictures):
            info = tarfile.TarInfo(f"{index:06}.jpg")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return file.getvalue()


def _members(uri: str, shard: bytes) -> Dict[str, bytes]:
    """The members' URIs in their order, and what lies there."""
    with tarfile.open(fileobj=io.BytesIO(shard)) as tar:
        return {
            TarMember(uri, each.name, each.offset_data, each.size).uri: shard[
                each.offset_data : each.offset_data + each.size
            ]
            for each in tar
        }


@pytest.fixture(scope="module")
def shard() -> bytes:
    chosen = random.Random(0)
    sizes = [chosen.randint(1, 2 * PICTURE_BYTES) for _ in range(70)]
    # One of three blocks, and one without a byte.
    return _shard([chosen.randbytes(size) for size in (*sizes, 2 * BLOCK_BYTES, 0, 1)])


def test_members_of_a_local_shard(shard: bytes, tmp_path: Path) -> None:
    path = tmp_path / "0.tar"
    path.write_bytes(shard)
    for uri, data in _members(str(path), shard).items():
        assert stores.read(uri) == (data, 1)
        assert stores.expected_size(uri) == len(data)
    for uri, data in _members(path.as_uri(), shard).items():
        assert stores.read(uri).data == data


def test_in_order_a_block_costs_a_request(
    shard: bytes, emulator: gs.Emulator, proxy: gs.Proxy
) -> None:
    emulator.put("gs://b/0.tar", shard)
    each = _members("gs://b/0.tar", shard)
    for uri, data in each.items():
        assert stores.read(uri) == (data, 1)
    blocks_there = -(-len(shard) // BLOCK_BYTES)
    # Of the first it is not known that others follow.
    assert proxy.counts() == {"read": 1 + blocks_there} and blocks_there == 6


def test_threads_that_read_on_share_a_request(
    shard: bytes, emulator: gs.Emulator, proxy: gs.Proxy
) -> None:
    emulator.put("gs://b/0.tar", shard)
    each = _members("gs://b/0.tar", shard)
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda uri: stores.read(uri).data, each))
    assert found == list(each.values())
    # Those that come to a block a little late may find it new to them.
    assert proxy.counts()["read"] <= 5 + 4


def test_at_random_a_picture_costs_a_request(emulator: gs.Emulator, proxy: gs.Proxy) -> None:
    shards = [_shard([bytes([index, shard]) * 9 for index in range(4)]) for shard in range(9)]
    each: Dict[str, bytes] = {}
    for index, data in enumerate(shards):
        far = b"\0" * BLOCK_BYTES + data
        emulator.put(f"gs://b/{index}.tar", far)
        for uri, found in _members(f"gs://b/{index}.tar", data).items():
            member = members.parse(uri)
            assert isinstance(member, TarMember)
            each[member._replace(offset=member.offset + BLOCK_BYTES).uri] = found
    for uri in list(each)[::4]:
        assert stores.read(uri).data == each[uri]
    assert proxy.counts() == {"read": 9}
    sizes = {len(emulator.get(f"gs://b/{index}.tar")) for index in range(9)}
    assert min(sizes) > BLOCK_BYTES  # so what came was less than that


def test_no_more_than_a_few_blocks_are_kept() -> None:
    asked: List[Any] = []

    def reading(uri: str, offset: int, size: int) -> Tried[bytes]:
        asked.append((uri, offset, size))
        return Tried(bytes(size), 1)

    now = [0.0]
    kept = blocks.Blocks(clock=lambda: now[0])
    for at in range(blocks.KEPT_BLOCKS + 1):
        assert kept.read("x", at * BLOCK_BYTES, 5, reading).get() == bytes(5)
    assert len(asked) == len(kept._kept) + 1 == blocks.KEPT_BLOCKS + 1
    assert kept.read("x", blocks.KEPT_BLOCKS * BLOCK_BYTES + 7, 5, reading).get() == bytes(5)
    assert len(asked) == blocks.KEPT_BLOCKS + 1
    now[0] = blocks.KEPT_SECONDS
    assert kept.read("x", blocks.KEPT_BLOCKS * BLOCK_BYTES + 7, 5, reading).get() == bytes(5)
    assert len(asked) == blocks.KEPT_BLOCKS + 2


@pytest.mark.parametrize("opened", [False, True], ids=["members", "files"])
@pytest.mark.parametrize("streams", [1, 16, 40])
def test_no_block_is_fetched_twice_however_many_files_are_read(opened: bool, streams: int) -> None:
    piece, there = BLOCK_BYTES // 20, 3 * BLOCK_BYTES
    came = [0] * streams
    kept = blocks.Blocks()

    def reading(uri: str, offset: int, size: int) -> Tried[bytes]:
        came[int(uri)] += size
        return Tried(random.Random(offset).randbytes(size), 1)

    files = [blocks.BlockFile(str(n), there, reading, kept) for n in range(streams)]
    for offset in range(0, there, piece):
        for n in range(streams):
            if opened:
                assert len(files[n].read(piece)) == piece
            else:
                assert len(kept.read(str(n), offset, piece, reading).get()) == piece
    in_blocks = [each for each in came if each <= there + piece]
    assert len(in_blocks) >= min(streams, blocks.KEPT_BLOCKS - 1)
    # What has lost its block has fetched it for nothing.
    assert max(came) <= there + BLOCK_BYTES + piece


def test_who_lost_a_block_is_given_blocks_again_later() -> None:
    asked: List[int] = []

    def reading(uri: str, offset: int, size: int) -> Tried[bytes]:
        asked.append(size)
        return Tried(bytes(size), 1)

    now = [0.0]
    kept = blocks.Blocks(clock=lambda: now[0])
    for offset in (0, 5):
        kept.read("x", offset, 5, reading)
    for n in range(blocks.KEPT_BLOCKS):
        blocks.BlockFile(f"{n}", 9, reading, kept).read(5)
    asked.clear()
    kept.read("x", 10, 5, reading)
    kept.read("x", 15, 5, reading)
    now[0] += blocks.LOST_SECONDS
    kept.read("x", 20, 5, reading)
    assert asked == [5, 5, BLOCK_BYTES]


def test_a_block_that_fails_is_asked_for_again() -> None:
    answers: List[Tried[bytes]] = [Tried(None, 3, TimeoutError("busy")), Tried(b"abc", 2)]
    kept = blocks.Blocks()
    for file in ("x", "y"):  # from here on they are read on
        kept.read(file, 0, 0, lambda *_: Tried(b"", 1))
    found = [kept.read("x", 0, 3, lambda *_: answers.pop(0)) for _ in range(2)]
    assert [str(each.error) for each in found] == ["busy", "None"]
    assert found[1] == (b"abc", 2, None)
    with pytest.raises(KeyboardInterrupt):
        kept.read("y", 0, 3, _interrupt)
    assert kept.read("y", 0, 3, lambda *_: Tried(b"xyz", 1)).get() == b"xyz"


def _interrupt(uri: str, offset: int, size: int) -> Tried[bytes]:
    raise KeyboardInterrupt


@pytest.mark.parametrize("store", ["local", "gs"])
def test_a_shard_that_is_cut_off_says_where(
    store: str, shard: bytes, tmp_path: Path, emulator: gs.Emulator, proxy: gs.Proxy
) -> None:
    uri = "gs://b/0.tar" if store == "gs" else str(tmp_path / "0.tar")
    each = list(_members(uri, shard))
    member = members.parse(each[5])
    assert isinstance(member, TarMember)
    cut = shard[: member.offset + 7]
    emulator.put(uri, cut) if store == "gs" else Path(uri).write_bytes(cut)
    for asked in (each[5], each[6]):
        found = stores.try_read(asked)
        assert isinstance(found.error, OSError) and found.attempts == 1
        assert "is cut off, so copy it again" in str(found.error) and asked in str(found.error)
    assert f"ends at byte {len(cut)}" in str(stores.try_read(each[5]).error)


def test_the_errors_of_members(tmp_path: Path, proxy: gs.Proxy) -> None:
    def error_of(uri: str, max_bytes: Optional[int] = None) -> Any:
        return stores.try_read(uri, max_bytes).error

    with pytest.raises(FileNotFoundError):
        raise error_of(f"{tmp_path}/none.tar#member=a.jpg&at=512+9")
    with pytest.raises(FileNotFoundError, match=r"none\.tar"):
        raise error_of("gs://b/none.tar#member=a.jpg&at=512+9")
    with pytest.raises(FileNotFoundError, match=r"none\.parquet"):
        raise error_of("gs://b/none.parquet#column=a&group=0&row=0")
    with pytest.raises(FileNotFoundError):
        raise error_of(f"{tmp_path}/none.parquet#column=a&group=0&row=0")
    with pytest.raises(ValueError, match=r"no parts are read; copy it to a folder or a bucket"):
        raise error_of("https://host.example/a.tar#member=a.jpg&at=512+9")
    with pytest.raises(limits.TooLarge, match=r"max_bytes=8.*member=a\.jpg"):
        raise error_of(f"{tmp_path}/none.tar#member=a.jpg&at=512+9", 8)
    with pytest.raises(OSError, match="folder"):
        raise error_of(f"{_made(tmp_path / 'x.tar')}#member=a.jpg&at=512+9")


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_ranges_by_beams_file_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a file system that Beam opens; local files stand for it."""
    from rembg_beam.transforms.store import beam_files

    (tmp_path / "a").write_bytes(b"0123456789")
    for offset, size in [(0, 3), (2, 5), (8, 5), (10, 3), (12, 3), (3, 0)]:
        found = beam_files.read_range(str(tmp_path / "a"), offset, size)
        assert found.get() == b"0123456789"[offset : offset + size]


def test_what_is_stored_packed_has_no_ranges(
    emulator: gs.Emulator, proxy: gs.Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GCS ignores the range of what it unpacks; here the emulator is not told of one."""
    from google.cloud.storage import Blob

    emulator.put("gs://b/0.tar", bytes(3 * BLOCK_BYTES))
    whole = Blob.download_to_file
    monkeypatch.setattr(
        Blob,
        "download_to_file",
        lambda self, file, start, end, **more: whole(self, file, **more),
    )
    error = stores.try_read(f"gs://b/0.tar#member=a&at={2 * BLOCK_BYTES}+20").error
    assert isinstance(error, OSError) and "store it without" in str(error)


def _table(rows: List[Optional[bytes]], nested: bool, **more: Any) -> bytes:
    cells_there: Any = pa.array(rows, pa.binary())
    if nested:
        paths = pa.array([f"{index}.jpg" for index in range(len(rows))])
        mask = pa.array([row is None for row in rows])
        cells_there = pa.StructArray.from_arrays([cells_there, paths], ["bytes", "path"], mask=mask)
    file = io.BytesIO()
    pq.write_table(pa.table({"id": range(len(rows)), "image": cells_there}), file, **more)
    return file.getvalue()


@pytest.mark.parametrize("order", ["ahead", "back", "shuffled", "threads", "twice"])
@pytest.mark.parametrize("nested", [False, True], ids=["plain", "nested"])
def test_cells_in_any_order(order: str, nested: bool, tmp_path: Path) -> None:
    rows: List[Optional[bytes]] = [random.Random(n).randbytes(n * 13) for n in range(300)]
    path = tmp_path / "a.parquet"
    path.write_bytes(_table(rows, nested, row_group_size=70))
    column = "image.bytes" if nested else "image"
    each = {Cell(str(path), column, n // 70, n % 70).uri: data for n, data in enumerate(rows)}
    taken = list(each)
    if order == "back":
        taken.reverse()
    if order == "shuffled":
        random.Random(0).shuffle(taken)
    if order == "twice":
        taken = [uri for uri in taken for _ in range(2)]
    with ThreadPoolExecutor(16 if order == "threads" else 1) as pool:
        found = list(pool.map(lambda uri: stores.read(uri).data, taken))
    assert found == [each[uri] for uri in taken]


def test_a_row_group_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: List[Optional[bytes]] = [random.Random(n).randbytes(100_000) for n in range(200)]
    path = tmp_path / "a.parquet"
    path.write_bytes(_table(rows, True))
    begun = []
    batches = cells._batches

    def counted(*each: Any) -> Any:
        begun.append(each)
        return batches(*each)

    monkeypatch.setattr(cells, "_batches", counted)
    at_once = threading.Barrier(16)

    def read(row: int) -> bytes:
        if row < 16:
            at_once.wait()
        return stores.read(Cell(str(path), "image.bytes", 0, row).uri).data

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(read, range(0, 200, 1))) == rows
    assert len(begun) == 1
    cursor = next(iter(stores._cursors._cursors.values()))
    assert not cursor._rows and cursor._size == 0 and cursor._batches is None


def test_rows_passed_over_are_kept_up_to_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cells, "KEPT_BYTES", 30_000)
    monkeypatch.setattr(cells, "SPOOLED_BYTES", 0)
    monkeypatch.setattr(cells, "_BATCH_BYTES", 3_000)
    rows: List[Optional[bytes]] = [bytes([n]) * 1_000 for n in range(100)]
    path = tmp_path / "a.parquet"
    path.write_bytes(_table(rows, False))
    for row in (60, 59, 35, 10, 99, 0):
        assert stores.read(Cell(str(path), "image", 0, row).uri).data == rows[row]
        (cursor,) = stores._cursors._cursors.values()
        kept = cursor._rows
        assert isinstance(kept, dict)
        assert cursor._size == sum(len(each or b"") for each in kept.values())
        assert cursor._size <= 30_000 + 3_000


@pytest.fixture()
def begun(monkeypatch: pytest.MonkeyPatch) -> List[Any]:
    """The cells for which a row group was begun."""
    found: List[Any] = []
    batches = cells._batches

    def counted(file: Any, cell: Cell, one_by_one: bool) -> Any:
        found.append(cell)
        return batches(file, cell, one_by_one)

    monkeypatch.setattr(cells, "_batches", counted)
    monkeypatch.setattr(cells, "_BATCH_BYTES", 3_000)
    return found


def test_however_many_row_groups_are_read_at_once(tmp_path: Path, begun: List[Any]) -> None:
    groups = cells.CURSORS + 5
    rows: List[Optional[bytes]] = [random.Random(n).randbytes(500) for n in range(groups * 30)]
    path = tmp_path / "a.parquet"
    path.write_bytes(_table(rows, True, row_group_size=30))
    for row in range(30):
        for group in range(groups):
            found = stores.read(Cell(str(path), "image.bytes", group, row).uri).data
            assert found == rows[group * 30 + row]
    assert len(begun) <= 2 * groups
    kept = stores._cursors._cursors.values()
    assert sum(not each.spooled for each in kept) <= cells.CURSORS


def test_a_group_read_at_random_is_decoded_twice_at_most(
    tmp_path: Path, begun: List[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cells, "KEPT_BYTES", 5_000)
    rows: List[Optional[bytes]] = [random.Random(n).randbytes(1_000) for n in range(100)]
    rows[7], rows[8] = None, b""
    path = tmp_path / "a.parquet"
    path.write_bytes(_table(rows, False))
    order = [*range(100), *range(100)]
    random.Random(1).shuffle(order)
    for row in order:
        found = stores.try_read(Cell(str(path), "image", 0, row).uri)
        assert found.value == rows[row] and (found.error is None) == (row != 7)
    assert len(begun) == 2


def test_rows_in_files_are_bounded(
    tmp_path: Path, begun: List[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cells, "KEPT_BYTES", 5_000)
    monkeypatch.setattr(cells, "SPOOLED_BYTES", 60_000)
    rows: List[Optional[bytes]] = [random.Random(n).randbytes(1_000) for n in range(100)]
    path = tmp_path / "a.parquet"
    for size, most in ((20, 60_000), (100, 0)):
        path.write_bytes(_table(rows, False, row_group_size=size))
        monkeypatch.setattr(stores, "_cursors", cells.Cursors())
        for n in (*range(99, 0, -20), 19, 0):
            cell = Cell(str(path), "image", n // size, n % size)
            assert stores.read(cell.uri).data == rows[n]
            before = Cell(str(path), "image", cell.group, 0)
            assert stores.read(before.uri).data == rows[cell.group * size]
        kept = stores._cursors._cursors.values()
        assert sum(each.spooled for each in kept) == most


def test_a_table_that_is_replaced_is_seen(tmp_path: Path) -> None:
    now = [0.0]
    kept, path = cells.Cursors(clock=lambda: now[0]), tmp_path / "a.parquet"

    def read(row: int) -> bytes:
        return kept.read(Cell(str(path), "image", 0, row), lambda uri: open(uri, "rb"))

    path.write_bytes(_table([b"a", b"b"], False))
    assert [read(1), read(1), read(0)] == [b"b", b"b", b"a"]
    path.write_bytes(_table([b"c", b"d"], False))
    assert read(0) == b"a"
    now[0] += cells.KEPT_SECONDS
    assert [read(0), read(1)] == [b"c", b"d"]


def test_cells_of_a_bucket(emulator: gs.Emulator, proxy: gs.Proxy) -> None:
    rows: List[Optional[bytes]] = [random.Random(n).randbytes(PICTURE_BYTES) for n in range(60)]
    data = _table(rows, True, row_group_size=20)
    emulator.put("gs://b/a.parquet", data)
    for n, row in enumerate(rows):
        uri = Cell("gs://b/a.parquet", "image.bytes", n // 20, n % 20).uri
        assert stores.read(uri).data == row
    blocks_there = -(-len(data) // BLOCK_BYTES)
    # A cursor opens the file, for its size.
    assert proxy.counts() == {"read": blocks_there, "stat": 3}


def test_the_errors_of_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(_table([b"a", None, b"c"], True))

    def error_of(column: str, group: int, row: int, **more: Any) -> str:
        cell = Cell(str(path), column, group, row)
        error = stores.try_read(cell.uri, **more).error
        assert cell.uri in str(error)
        return f"{type(error).__name__}: {error}"

    assert "BadCell" in error_of("image.bytes", 0, 1) and "null" in error_of("image.bytes", 0, 1)
    assert "its row group has 3 rows" in error_of("image.bytes", 0, 3)
    assert "it has 1 row groups" in error_of("image.bytes", 1, 0)
    assert "no column 'picture'" in error_of("picture", 0, 0)
    assert "not binary" in error_of("id", 0, 0)
    assert "TooLarge" in error_of("image.bytes", 0, 2, max_bytes=0)
    assert stores.read(Cell(str(path), "image.bytes", 0, 2).uri).data == b"c"
    path.write_bytes(b"no table")
    monkeypatch.setattr(stores, "_cursors", cells.Cursors())
    assert "BadCell" in error_of("image.bytes", 0, 0)


def test_a_broken_row_group_costs_the_rest_of_it(tmp_path: Path) -> None:
    rows: List[Optional[bytes]] = [random.Random(n).randbytes(50_000) for n in range(120)]
    pages = {"write_batch_size": 4, "data_page_size": 200_000, "use_dictionary": False}
    data = bytearray(_table(rows, False, row_group_size=60, compression="gzip", **pages))
    half = pq.ParquetFile(io.BytesIO(data)).metadata.row_group(0).total_byte_size // 2
    data[half : half + 3_000] = bytes(3_000)
    path = tmp_path / "a.parquet"
    path.write_bytes(data)
    errors = []
    for n, row in enumerate(rows):
        found = stores.try_read(Cell(str(path), "image", n // 60, n % 60).uri)
        if found.error is None:
            assert found.value == row
        else:
            errors.append((n, found.error))
    lost = [n for n, _ in errors]
    assert lost == list(range(lost[0], 60)) and 0 < lost[0] < 60
    assert {type(error) for _, error in errors} == {cells.BadCell}
    assert f"row {lost[0]} and those behind it are damaged" in str(errors[-1][1])


@pytest.mark.parametrize("fault", ["503", "reset", "cut", "lost"])
def test_what_passes_is_tried_again(
    fault: str, shard: bytes, emulator: gs.Emulator, proxy: gs.Proxy
) -> None:
    emulator.put("gs://b/0.tar", shard)
    (*_, alone) = _members("gs://b/0.tar", shard)
    (first, *_) = each = _members("gs://b/0.tar", shard)
    for uri in (first, alone):  # by its block, and by itself
        proxy.clear()
        proxy.fault = gs.first(2, fault, of="read")
        assert stores.read(uri) == (each[uri], 3)
        assert proxy.counts() == {"read": 3}
