#!/usr/bin/python3
"""A second reader of datasets: follows docs/format.md and shares no code with the C. Restricted files only.

    dataset_reference.py DATASET

Reads the newest root and its segments, checks every hash on the way and the size, content hash and
row counts of every shard, and prints the snapshot's name, rows and splits: what check_snapshot
compares with the C code. Needs libxxhash and libzstd, nothing else."""
import ctypes
import os
import struct
import sys

xxh = ctypes.CDLL("libxxhash.so.0")
zstd = ctypes.CDLL("libzstd.so.1")


class Hash128(ctypes.Structure):
    _fields_ = [("lo", ctypes.c_uint64), ("hi", ctypes.c_uint64)]


for name, result in (("XXH3_64bits_withSeed", ctypes.c_uint64), ("XXH3_128bits_withSeed", Hash128)):
    getattr(xxh, name).restype = result
    getattr(xxh, name).argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64]
zstd.ZSTD_decompress.restype = ctypes.c_size_t


def check(ok, what):
    if not ok:
        sys.exit("damaged: " + what)


def hash64(data, seed):
    return xxh.XXH3_64bits_withSeed(data, len(data), seed)


def hash128(data):
    h = xxh.XXH3_128bits_withSeed(data, len(data), 0)
    return "%016x%016x" % (h.hi, h.lo)


def hash_hex(cell):
    lo, hi = struct.unpack("<QQ", cell)
    return "%016x%016x" % (hi, lo)


def unzstd(data, raw_len):
    out = ctypes.create_string_buffer(raw_len + 1)
    n = zstd.ZSTD_decompress(out, ctypes.c_size_t(raw_len), data, ctypes.c_size_t(len(data)))
    check(n == raw_len, "a zstd frame")
    return out.raw[:raw_len]


def align(n):
    return (n + 63) // 64 * 64


def page_values(page, column_type):
    """Chapter 5: the values of a page all of whose streams are PLAIN."""
    n_rows, n_streams, kind, zero = struct.unpack_from("<IBBH", page)
    at, streams = 8 + 12 * n_streams, {}
    for i in range(n_streams):
        role, enc, version, size, count, length = struct.unpack_from("<BBBBII", page, 8 + 12 * i)
        check(enc == 0 and version == 0, "a stream that is not plain")
        at = align(at) if length >= 256 else at
        streams[role] = (count, size, page[at : at + length])
        at += length
    check(at == len(page) and kind == 0 and zero == 0, "the end of a page")

    def numbers(role):
        count, size, data = streams[role]
        return struct.unpack("<%d%s" % (count, {4: "I", 8: "Q"}[size]), data)

    if column_type in (8, 9):  # uint32, uint64
        return list(numbers(4))
    data = numbers(4) if column_type == 24 else streams[5][2]
    values, at = [], 0
    for length in numbers(2):
        v = data[at : at + length]
        values.append(v.decode() if column_type == 16 else v)
        at += length
    check(at == len(data) and len(values) == n_rows, "lengths of a page")
    return values


def load_table(path):
    """Chapters 2, 3 and 12: {column: values} and the content hash of a restricted file."""
    with open(path, "rb") as f:
        data = f.read()
    header, trailer = data[:64], data[-64:]
    stored_len, raw_len, footer_hash = struct.unpack_from("<IIQ", trailer, 8)
    footer_off = len(data) - 64 - stored_len
    stored = data[footer_off : footer_off + stored_len]
    check(struct.unpack_from("<H", header, 8)[0] == 2, "version of the format")
    check(hash64(header[:56], 0) == struct.unpack_from("<Q", header, 56)[0], "header")
    check(hash64(trailer[:48], len(data) - 64) == struct.unpack_from("<Q", trailer, 48)[0], "trailer")
    check(trailer[56:] == header[:8][::-1] == b"\x89SHD\r\n\x1a\n"[::-1], "magic")
    check(hash64(stored, footer_off) == footer_hash, "footer")
    footer = stored if stored_len == raw_len else unzstd(stored, raw_len)

    n_sections, n_columns, n_groups, n_pages, n_pieces = struct.unpack_from("<IIIII", footer)
    at, sections = 32 + 8 * n_sections, {}
    for i in range(n_sections):
        number, _, length = struct.unpack_from("<HHI", footer, 32 + 8 * i)
        sections[number] = footer[at : at + length]
        at += length
    check(n_groups == 1 and n_pieces == 0 and 6 not in sections, "not a restricted file")
    columns = [struct.unpack_from("<BBBBIII", sections[1], 16 * i) for i in range(n_columns)]
    at, names = 16 * n_columns, []
    for c in columns:
        names.append(sections[1][at : at + c[5]].decode())
        at += c[5]
    stored, raw, rows, _, _, kind = (
        struct.unpack_from("<%dI" % n_pages, sections[3], 4 * n_pages * k) for k in range(6))
    hashes = struct.unpack_from("<%dQ" % n_pages, sections[3], 24 * n_pages)
    chunks = struct.unpack("<%dI" % n_columns, sections[4])

    table, p, end = {name: [] for name in names}, 0, 64
    off = struct.unpack_from("<Q", sections[2])[0]
    for c in range(n_columns):
        for _ in range(chunks[c]):
            off = off if kind[p] == 1 else align(off)
            check(not any(data[end:off]), "bytes between pages")
            page = data[off : off + stored[p]]
            check(hash64(page, off) == hashes[p], "a page of " + names[c])
            end = off = off + stored[p]
            page = unzstd(page, raw[p]) if kind[p] == 1 else page
            table[names[c]] += page_values(page, columns[c][0])
            p += 1
    check(not any(data[end:footer_off]), "bytes before the footer")
    return table, hash128(header + data[footer_off:])


def check_stats(entry, path):
    """Chapter 14."""
    stats = entry["stats"]
    check(len(stats) % 48 == 0 and len(stats) <= 64 * 48, path)
    columns = [struct.unpack_from("<I", stats, at)[0] for at in range(0, len(stats), 48)]
    check(columns == sorted(set(columns)), path)
    for at in range(0, len(stats), 48):
        flags, n_nulls = struct.unpack_from("<IQ", stats, at + 4)
        check(n_nulls <= entry["rows"], path)
        if not flags & 1:
            check(not any(stats[at + 16 : at + 48]), path)


def check_shard(dataset, path, entry):
    with open(os.path.join(dataset, path), "rb") as f:
        data = f.read()
    check(len(data) == entry["file_bytes"], path)
    check(hash128(data[:64] + data[-entry["footer_bytes"] :]) == hash_hex(entry["hash"]), path)
    check_stats(entry, path)
    check(sum(entry["group_rows"]) == entry["rows"] and hash_hex(entry["hash"]) in path, path)


def main(dataset):
    roots = sorted(os.listdir(os.path.join(dataset, "roots")))
    root, snapshot = load_table(os.path.join(dataset, "roots", roots[-1]))
    facts = list(zip(*(root[c] for c in ("kind", "name", "number", "bytes", "hash", "text"))))
    check(facts[0][:3] == ("format", "shardline", 2), "format")
    splits = {name: n for kind, name, n, _, _, _ in facts if kind == "split"}
    found, total = dict.fromkeys(splits, 0), 0
    for kind, path, n_rows, size, h, _ in facts:
        if kind != "segment":
            continue
        segment, content = load_table(os.path.join(dataset, path))
        check(content == hash_hex(h) and path == "segments/%s.seg" % content, path)
        check(os.path.getsize(os.path.join(dataset, path)) == size, path)
        check(sum(segment["rows"]) == n_rows, path)
        for i, shard in enumerate(segment["path"]):
            check_shard(dataset, shard, {k: v[i] for k, v in segment.items()})
            found[segment["split"][i]] += segment["rows"][i]
        total += n_rows
    check(found == splits, "rows of splits")
    print(snapshot, total, " ".join("%s=%d" % s for s in splits.items()))


main(sys.argv[1])
