"""Unpacking archives: complete and safe, or refused without leaving files."""

from __future__ import annotations

import errno
import io
import stat
import struct
import tarfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Literal, cast

import pytest

from iis_engine.data.archives.unpacking import ArchiveLimits, unpack_archive
from iis_engine.errors import DataError

Files = dict[str, bytes]


def write_zip(path: Path, files: Files) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_tar(path: Path, files: Files) -> Path:
    mode = {".gz": "w:gz", ".bz2": "w:bz2", ".xz": "w:xz"}.get(path.suffix, "w")
    with tarfile.open(path, cast("Literal['w:gz']", mode)) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def write(path: Path, files: Files) -> Path:
    return write_zip(path, files) if path.suffix == ".zip" else write_tar(path, files)


def refusal(archive: Path, limits: ArchiveLimits | None = None) -> DataError:
    """Unpack, expect an error, check that no file is left, and return the error."""
    into = archive.parent / "unpacked"
    before = set(archive.parent.iterdir())
    with pytest.raises(DataError) as caught:
        unpack_archive(archive, into, limits)
    assert set(archive.parent.iterdir()) == before
    assert str(caught.value).endswith(".")
    assert archive.name in str(caught.value)
    return caught.value


ALL_KINDS = pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tar.bz2", "a.tar.xz"])
BOTH_KINDS = pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])


@ALL_KINDS
def test_unpacking_preserves_files_and_skips_those_of_operating_systems(name: str, tmp_path: Path) -> None:
    system_files = {"set/.DS_Store": b"x", "__MACOSX/set/._1.png": b"x", "set/cat/Thumbs.db": b"x", "set/cat/._1.png": b"x"}
    archive = write(tmp_path / name, {"./set/cat/1.png": b"cat", "set/dog/2.png": b"dog" * 1000, "set/dog/empty": b"", **system_files})
    unpacked = unpack_archive(archive, tmp_path / "deep" / "unpacked")
    files = {path.relative_to(tmp_path / "deep" / "unpacked").as_posix() for path in (tmp_path / "deep").rglob("*") if path.is_file()}
    assert files == {"set/cat/1.png", "set/dog/2.png", "set/dog/empty"}
    assert (tmp_path / "deep" / "unpacked" / "set/dog/2.png").read_bytes() == b"dog" * 1000
    assert (unpacked.file_count, unpacked.size_bytes, unpacked.ignored_count) == (3, 3003, 4)
    assert list((tmp_path / "deep").iterdir()) == [tmp_path / "deep" / "unpacked"]


@BOTH_KINDS
@pytest.mark.parametrize("inside", ["../evil.png", "cat/../../evil.png", "cat\\..\\..\\evil.png"])
def test_a_path_that_leaves_the_archive_is_refused(name: str, inside: str, tmp_path: Path) -> None:
    assert "leaves the archive" in str(refusal(write(tmp_path / name, {"cat/1.png": b"x", inside: b"x"})))


@BOTH_KINDS
@pytest.mark.parametrize("inside", ["/etc/evil.png", "C:\\evil.png", "\\\\server\\evil.png"])
def test_an_absolute_path_is_refused(name: str, inside: str, tmp_path: Path) -> None:
    assert "absolute path" in str(refusal(write(tmp_path / name, {"cat/1.png": b"x", inside: b"x"})))


def test_a_symlink_in_a_zip_is_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("cat/link.png")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("cat/1.png", b"x")
        archive.writestr(info, "/etc/passwd")
    assert "is a link" in str(refusal(tmp_path / "a.zip"))


@pytest.mark.parametrize(
    ("kind", "word"),
    [(tarfile.SYMTYPE, "link"), (tarfile.LNKTYPE, "link"), (tarfile.CHRTYPE, "device"), (tarfile.FIFOTYPE, "pipe")],
)
def test_links_devices_and_pipes_in_a_tar_are_refused(kind: bytes, word: str, tmp_path: Path) -> None:
    info = tarfile.TarInfo("cat/other.png")
    info.type, info.linkname = kind, "/etc/passwd"
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("cat/1.png"))
        archive.addfile(info)
    assert word in str(refusal(tmp_path / "a.tar"))


@BOTH_KINDS
def test_an_archive_bomb_is_refused_by_its_compression_ratio(name: str, tmp_path: Path) -> None:
    archive = write(tmp_path / name, {"cat/1.png": bytes(70 << 20)})
    assert archive.stat().st_size < 1 << 20
    assert refusal(archive).code == "archive_bomb"


@BOTH_KINDS
def test_more_bytes_or_files_than_allowed_are_refused(name: str, tmp_path: Path) -> None:
    archive = write(tmp_path / name, {f"cat/{index}.png": bytes(1000) for index in range(10)})
    assert refusal(archive, ArchiveLimits(total_bytes=9_999)).code == "archive_too_large"
    assert refusal(archive, ArchiveLimits(file_count=10)).code == "archive_too_large"
    assert (
        unpack_archive(archive, tmp_path / "unpacked", ArchiveLimits(total_bytes=10_000, file_count=11)).file_count == 10
    )  # with their folder


def test_a_zip_with_false_declared_sizes_is_refused(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", {"cat/1.png": bytes(100_000)})
    content = archive.read_bytes()
    archive.write_bytes(content.replace((100_000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    refusal(archive, ArchiveLimits(total_bytes=1000))


def test_a_tar_header_that_claims_gigabytes_is_refused_in_little_memory(tmp_path: Path) -> None:
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 1 << 33
    (tmp_path / "a.tar").write_bytes(header.tobuf() + bytes(1 << 20))
    tracemalloc.start()
    refusal(tmp_path / "a.tar")
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("names", [("cat/1.png", "cat/1.png"), ("cat", "cat/1.png"), ("cat/1.png", "cat")])
@BOTH_KINDS
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_repeated_or_conflicting_names_are_refused(name: str, names: tuple[str, str], tmp_path: Path) -> None:
    path = tmp_path / name
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for inside in names:
                archive.writestr(inside, b"x")
    else:
        with tarfile.open(path, "w:gz") as archive:
            for inside in names:
                archive.addfile(tarfile.TarInfo(inside))
    assert "more than once" in str(refusal(path))


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", {"cat/1.png": b"x"})
    content = bytearray(archive.read_bytes())
    content[6] |= 1  # the local header's flags
    content[content.index(b"PK\x01\x02") + 8] |= 1  # the directory's
    archive.write_bytes(content)
    assert "without a password" in str(refusal(archive))


@pytest.mark.parametrize("share", [0.3, 0.9])
@ALL_KINDS
def test_a_truncated_archive_is_refused(name: str, share: float, tmp_path: Path) -> None:
    noise = {f"cat/{index}.png": bytes((index * 7 + step * step) % 251 for step in range(3000)) for index in range(5)}
    archive = write(tmp_path / name, noise)
    content = archive.read_bytes()
    archive.write_bytes(content[: int(len(content) * share)])
    if name == "a.tar" and share == 0.9:
        return  # only the padding at the end is cut off
    refusal(archive)


def test_a_zip_with_a_name_of_invalid_utf_8_is_reported_as_damaged(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", {"caté/1.png": b"x"})
    archive.write_bytes(archive.read_bytes().replace("é".encode(), b"\xe9\xe9"))
    assert "is damaged" in str(refusal(archive))


def test_a_zip_with_an_entry_at_a_negative_offset_is_reported_as_damaged(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", {"cat/1.png": b"x"})
    content = bytearray(archive.read_bytes())
    content[-6] += 7  # the directory's offset in the last record; Python shifts all entries by the difference
    archive.write_bytes(content)
    assert "is damaged" in str(refusal(archive))


@BOTH_KINDS
def test_a_path_longer_than_a_file_system_takes_is_refused(name: str, tmp_path: Path) -> None:
    sentence = str(refusal(write(tmp_path / name, {"/".join(["d" * 200] * 30) + "/1.png": b"x"})))
    assert "of 6035 bytes; pack it again with paths of at most 1024 bytes" in sentence
    assert len(sentence) < 300


def test_names_that_are_not_utf_8_are_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.GNU_FORMAT, encoding="latin-1") as archive:
        archive.addfile(tarfile.TarInfo("café/1.png"))
    assert "'caf\\udce9/1.png', which is not UTF-8; pack it again with UTF-8 names" in str(refusal(tmp_path / "a.tar"))


@pytest.mark.parametrize(("number", "is_raised"), [(errno.ENOSPC, True), (errno.EDQUOT, True), (errno.EIO, True), (errno.EILSEQ, False)])
def test_an_error_of_the_disk_is_raised_as_it_is(number: int, is_raised: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = write_zip(tmp_path / "a.zip", {"cat/1.png": b"x"})

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, "no")

    monkeypatch.setattr(Path, "open", fail)
    with pytest.raises(OSError if is_raised else DataError):
        unpack_archive(archive, tmp_path / "unpacked")


@pytest.mark.parametrize("content", [b"", b"not an archive", b"\x89PNG\r\n\x1a\n", b"7z\xbc\xaf\x27\x1c", bytes(2000)])
def test_other_files_and_archives_without_files_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(content)
    refusal(tmp_path / "a.bin")


@pytest.mark.parametrize("writer", [write_zip, write_tar])
def test_an_empty_archive_is_refused(writer: Callable[[Path, Files], Path], tmp_path: Path) -> None:
    assert "contains no files" in str(refusal(writer(tmp_path / "a", {})))


def test_unpacking_into_a_folder_with_files_is_refused(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", {"cat/1.png": b"x"})
    (tmp_path / "unpacked").mkdir()
    (tmp_path / "unpacked" / "mine.txt").write_text("kept")
    with pytest.raises(DataError, match="not empty"):
        unpack_archive(archive, tmp_path / "unpacked")
    assert (tmp_path / "unpacked" / "mine.txt").read_text() == "kept"


def write_raw_names(path: Path, names: list[bytes], extra: bytes = b"") -> Path:
    """Write a zip whose names are these bytes, without the flag that says UTF-8."""
    with zipfile.ZipFile(path, "w") as archive:
        for number, name in enumerate(names):
            info = zipfile.ZipInfo(f"{number}".ljust(len(name), "_"))
            info.extra = extra
            archive.writestr(info, b"x")
    content = path.read_bytes()
    for number, name in enumerate(names):
        content = content.replace(f"{number}".ljust(len(name), "_").encode(), name)
    path.write_bytes(content)
    return path


def unpacked_names(archive: Path) -> set[str]:
    into = archive.parent / "unpacked"
    unpack_archive(archive, into)
    return {path.relative_to(into).as_posix() for path in into.rglob("*") if path.is_file()}


def test_names_in_utf_8_without_its_flag_are_read_as_utf_8(tmp_path: Path) -> None:
    assert unpacked_names(write_raw_names(tmp_path / "a.zip", ["Käse/1.png".encode(), "日本/2.png".encode()])) == {
        "Käse/1.png",
        "日本/2.png",
    }


@pytest.mark.parametrize("encoding", ["cp437", "cp1252", "cp932", "gbk"])
def test_names_in_an_unstated_code_page_are_refused(encoding: str, tmp_path: Path) -> None:
    name = "日本/1.png" if encoding in ("cp932", "gbk") else "Käse/1.png"
    archive = write_raw_names(tmp_path / "a.zip", [b"cat/1.png", name.encode(encoding)])
    assert "whose encoding the archive does not state and which is not UTF-8" in str(refusal(archive))


def test_a_name_in_the_unicode_path_field_is_read(tmp_path: Path) -> None:
    stored = "Käse/1.png".encode("cp437")
    content = struct.pack("<BI", 1, zlib.crc32(stored)) + "Käse/1.png".encode()
    extra = struct.pack("<HH", 0x7075, len(content)) + content
    assert unpacked_names(write_raw_names(tmp_path / "a.zip", [stored], extra)) == {"Käse/1.png"}


@BOTH_KINDS
def test_names_become_normalisation_form_c(name: str, tmp_path: Path) -> None:
    assert unpacked_names(write(tmp_path / name, {"cafe\u0301/1.png": b"x"})) == {"café/1.png"}


@pytest.mark.parametrize(("method", "title"), [(9, "Deflate64"), (93, "Zstandard"), (98, "PPMd"), (77, "number 77")])
def test_an_unsupported_compression_is_named(method: int, title: str, tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", {"cat/1.png": b"x" * 100})
    content = bytearray(archive.read_bytes())
    content[8] = method
    content[content.index(b"PK\x01\x02") + 10] = method
    archive.write_bytes(content)
    assert f"'cat/1.png', which is compressed by a method that is not read ({title}); pack it again as .tar.gz" in str(refusal(archive))


@pytest.mark.parametrize(("start", "title"), [(b"7z\xbc\xaf\x27\x1c", "7z"), (b"Rar!\x1a\x07", "RAR"), (b"\x28\xb5\x2f\xfd", "Zstandard")])
def test_archives_of_other_kinds_are_named(start: bytes, title: str, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(start + bytes(2000))
    assert f"is a {title} file, not a zip or tar archive" in str(refusal(tmp_path / "a.zip"))
