"""What is evicted is on the disk first, comes back byte for byte, and nobody else can read it."""

from __future__ import annotations

import os
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wildfire_ingest.intake.overflow import Archived, Damaged, OverflowArchive
from wildfire_ingest.record import Lane, Load


def load(seq: int, lane: Lane = Lane.LOW) -> Load:
    return Load(
        lane=lane,
        seq=seq,
        records=3,
        n_bytes=7,
        topics=("wildfire-a", "wildfire-b"),
        created_at_us=11,
        dead=1,
    )


def put(archive: OverflowArchive, seq: int, *, source_id: str = "firms", size: int = 7) -> Archived:
    ids, payload = b"i" * seq, bytes([seq % 256]) * size
    archive.append(
        source_id, load(seq), ids=ids, payload=payload, reason="spool_max_bytes", now_us=99
    )
    return Archived(source_id, load(seq), ids, payload, "spool_max_bytes", 99)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "overflow"


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_what_was_archived_comes_back_in_order_also_after_a_restart(folder: Path) -> None:
    first, second = OverflowArchive(folder), OverflowArchive(folder)

    written = [put(first, 1), put(first, 2), put(second, 3), put(second, 4)]

    assert list(OverflowArchive(folder).read()) == written


def test_sources_do_not_share_files(folder: Path) -> None:
    archive = OverflowArchive(folder)

    b, a = put(archive, 1, source_id="b.2"), put(archive, 2, source_id="a")

    assert [path.name for path in files(folder)] == ["a.000001.overflow", "b.2.000001.overflow"]
    assert list(archive.read()) == [a, b]


def test_an_archive_that_was_never_written_is_empty(folder: Path) -> None:
    assert list(OverflowArchive(folder).read()) == []


def test_only_the_owner_can_read_it_whatever_the_umask(folder: Path) -> None:
    folder.mkdir(parents=True, mode=0o755)
    before = os.umask(0)
    try:
        put(OverflowArchive(folder), 1)
    finally:
        os.umask(before)

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(files(folder)[0].stat().st_mode) == 0o600


@pytest.mark.parametrize("cut", [1, 10, 60, 200])
def test_a_torn_tail_is_reported_and_what_stands_before_it_is_read(folder: Path, cut: int) -> None:
    archive = OverflowArchive(folder)
    whole = put(archive, 1)
    (path,) = files(folder)
    whole_bytes = path.stat().st_size
    put(archive, 2, size=500)
    os.truncate(path, whole_bytes + cut)

    entry, damaged = archive.read()

    assert entry == whole
    assert isinstance(damaged, Damaged)
    assert (damaged.path, damaged.offset, damaged.lost_bytes) == (path, whole_bytes, cut)
    assert "torn" in damaged.reason


def test_a_torn_tail_never_hides_what_is_written_after_a_restart(folder: Path) -> None:
    archive = OverflowArchive(folder)
    put(archive, 1)
    (path,) = files(folder)
    os.truncate(path, path.stat().st_size - 1)

    later = put(OverflowArchive(folder), 2)

    damaged, entry = archive.read()
    assert isinstance(damaged, Damaged)
    assert entry == later


@given(st.integers(0, 10_000), st.integers(1, 255))
@settings(max_examples=80, deadline=None)
def test_no_altered_byte_goes_unnoticed(
    tmp_path_factory: pytest.TempPathFactory, where: int, change: int
) -> None:
    folder = tmp_path_factory.mktemp("altered")
    put(OverflowArchive(folder), 5)
    (path,) = files(folder)
    content = bytearray(path.read_bytes())
    content[where % len(content)] ^= change
    path.write_bytes(content)

    (found,) = OverflowArchive(folder).read()

    assert isinstance(found, Damaged)


@contextmanager
def disk_full_at(n_bytes: int) -> Iterator[None]:
    """The kernel refuses to let any file grow beyond `n_bytes`, after a partial write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_raises_and_leaves_the_archive_whole(folder: Path) -> None:
    archive = OverflowArchive(folder)
    first = put(archive, 1)

    with disk_full_at(2_000), pytest.raises(OSError, match="too large"):
        put(archive, 2, size=50_000)
    second = put(archive, 2, size=50_000)

    assert list(archive.read()) == [first, second]


def test_a_full_disk_at_the_first_entry_leaves_no_file_behind(folder: Path) -> None:
    archive = OverflowArchive(folder)

    with disk_full_at(2_000), pytest.raises(OSError, match="too large"):
        put(archive, 1, size=50_000)

    assert files(folder) == []
    assert list(archive.read()) == []


def test_a_file_in_the_place_of_the_directory_raises_so_that_the_caller_blocks(
    folder: Path,
) -> None:
    folder.parent.mkdir()
    folder.write_bytes(b"")

    with pytest.raises(NotADirectoryError):
        put(OverflowArchive(folder), 1)


def test_a_directory_that_is_a_link_is_refused(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder.parent.mkdir()
    folder.symlink_to(elsewhere)

    with pytest.raises(OSError, match=r"Not a directory|symbolic links"):
        put(OverflowArchive(folder), 1)
    assert list(elsewhere.iterdir()) == []


def test_a_link_planted_in_the_place_of_a_file_is_never_followed(
    folder: Path, tmp_path: Path
) -> None:
    archive = OverflowArchive(folder)
    put(archive, 1)
    target = tmp_path / "target"
    target.write_bytes(b"precious")
    (path,) = files(folder)
    path.unlink()
    path.symlink_to(target)

    with pytest.raises(OSError, match="symbolic links"):
        put(archive, 2)
    with pytest.raises(OSError, match="symbolic links"):
        list(archive.read())
    assert target.read_bytes() == b"precious"


@pytest.mark.parametrize("source_id", ["../up", "a/b", "", ".hidden", "a\0b", "x" * 200])
def test_a_source_id_never_leads_out_of_the_directory(folder: Path, source_id: str) -> None:
    with pytest.raises(ValueError, match="cannot name a file"):
        put(OverflowArchive(folder), 1, source_id=source_id)
    assert files(folder) == []


@given(
    st.sampled_from(Lane), st.binary(max_size=2_000), st.binary(max_size=2_000), st.text(max_size=9)
)
@settings(max_examples=30, deadline=None)
def test_any_bytes_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, lane: Lane, ids: bytes, payload: bytes, reason: str
) -> None:
    archive = OverflowArchive(tmp_path_factory.mktemp("bytes"))
    one = load(7, lane)

    archive.append("firms", one, ids=ids, payload=payload, reason=reason, now_us=1)

    assert list(archive.read()) == [Archived("firms", one, ids, payload, reason, 1)]
