"""Shards and datasets taken apart and put together again, in other words: written from docs/format.md,
with whatever a test wants in them and every hash and count right. So a test gets past the checksums to
what a reader does with things that it does not know."""

import os
import struct

from util import need_reader

need_reader()
import shardline_reader as reader  # noqa: E402
from shardline_reader import MAGIC, hash64  # noqa: E402

SCHEMA, GROUPS, PAGES, CHUNKS, PIECES, STATS, ENCODINGS, ORIGIN = range(1, 9)


def align(n):
    return n + -n % 64


def hash128(data):
    return reader.hash128(bytes(data), 0)[::-1]


def hexname(h):
    lo, hi = struct.unpack("<QQ", h)
    return "%016x%016x" % (hi, lo)


def arrays(data, n, letters):
    """A structure of arrays (chapter 3) as tuples."""
    fields, at = [], 0
    for letter in letters:
        fields.append(struct.unpack_from("<%d%s" % (n, letter), data, at))
        at += n * struct.calcsize("<" + letter)
    return list(zip(*fields))


class Page:
    """stored are its bytes in the file, raw those behind the codec."""

    def __init__(self, stored, raw_len, n_rows, data_len, kind):
        self.stored, self.raw_len, self.n_rows, self.data_len, self.kind = (
            stored, raw_len, n_rows, data_len, kind)

    @property
    def raw(self):
        assert self.kind in (0, 1)
        return bytearray(reader.unzstd(self.stored, self.raw_len) if self.kind else self.stored)

    @raw.setter
    def raw(self, data):
        self.stored, self.raw_len, self.kind = bytes(data), len(data), 0

    def poke(self, at, *values):
        """Other bytes in the page: its head is 8 bytes, then come descriptors of 12."""
        raw = self.raw
        raw[at:at + len(values)] = bytes(values)
        self.raw = raw


class Shard:
    """Without pieces. Everything can be changed; write() makes places, lengths and hashes fit."""

    def __init__(self, path=None):
        self.version, self.features = [2, 0], [0, 0, 0]
        self.trailer_reserved = self.footer_reserved = 0
        self.columns, self.groups, self.pages, self.chunks, self.more = [], [], [], [], []
        if path:
            self.read(path)

    def read(self, path):
        with open(path, "rb") as f:
            data = f.read()
        stored, raw = struct.unpack_from("<II", data, len(data) - 56)
        footer = data[len(data) - 64 - stored:-64]
        footer = reader.unzstd(footer, raw) if stored < raw else footer
        n_sections, n_cols, n_groups, n_pages, n_pieces = struct.unpack_from("<5I", footer)
        assert n_pieces == 0
        section, pos = {}, 32 + 8 * n_sections
        for i in range(n_sections):
            number, flags, length = struct.unpack_from("<HHI", footer, 32 + 8 * i)
            section[number] = footer[pos:pos + length]
            if number > CHUNKS:
                self.more.append([number, flags, bytearray(section[number])])
            pos += length
        pos = 16 * n_cols
        for i in range(n_cols):
            c = list(struct.unpack_from("<BBBBIII", section[SCHEMA], 16 * i))
            self.columns.append(c)
            c[5], pos = section[SCHEMA][pos:pos + c[5]], pos + c[5]
        for c in self.columns:
            c[6], pos = section[SCHEMA][pos:pos + c[6]], pos + c[6]
        self.chunks = list(struct.unpack("<%dI" % (n_groups * n_cols), section[CHUNKS]))
        fields = arrays(section[PAGES], n_pages, "IIIQIQ")
        page = 0
        for g in range(n_groups):
            at, n_rows, _ = struct.unpack_from("<QII", section[GROUPS], 16 * g)
            self.groups.append(n_rows)
            for _ in range(sum(self.chunks[g * n_cols:(g + 1) * n_cols])):
                stored_len, raw_len, rows, data_len, kind, _ = fields[page]
                at = at if kind else align(at)
                self.pages.append(Page(data[at:at + stored_len], raw_len, rows, data_len, kind))
                at += stored_len
                page += 1

    def page(self, group, column, number=0):
        return self.pages[sum(self.chunks[:group * len(self.columns) + column]) + number]

    def section(self, number):
        return next(s for s in self.more if s[0] == number)

    def body(self):
        out, offsets, hashes, page = bytearray(64), [], [], 0
        for g in range(len(self.groups)):
            out += bytes(align(len(out)) - len(out))
            offsets.append(len(out))
            for _ in range(sum(self.chunks[g * len(self.columns):(g + 1) * len(self.columns)])):
                p = self.pages[page]
                if not p.kind & 0xff:
                    out += bytes(align(len(out)) - len(out))
                hashes.append(hash64(p.stored, len(out)))
                out += p.stored
                page += 1
        return out, offsets, hashes

    def footer(self, offsets, hashes):
        schema = b"".join(struct.pack("<BBBBIII", *c[:5], len(c[5]), len(c[6])) for c in self.columns)
        schema += b"".join(c[5] for c in self.columns) + b"".join(c[6] for c in self.columns)
        groups = b"".join(struct.pack("<QII", o, n, 0) for o, n in zip(offsets, self.groups))
        ps = self.pages
        pages = b"".join(struct.pack("<%d%s" % (len(ps), letter), *values) for letter, values in (
            ("I", [len(p.stored) for p in ps]), ("I", [p.raw_len for p in ps]),
            ("I", [p.n_rows for p in ps]), ("Q", [p.data_len for p in ps]),
            ("I", [p.kind for p in ps]), ("Q", hashes)))
        sections = [[SCHEMA, 1, schema], [GROUPS, 1, groups], [PAGES, 1, pages],
                    [CHUNKS, 1, struct.pack("<%dI" % len(self.chunks), *self.chunks)]] + self.more
        return struct.pack("<6IQ", len(sections), len(self.columns), len(self.groups), len(ps), 0,
                           self.footer_reserved, sum(self.groups)) + b"".join(
            struct.pack("<HHI", n, flags, len(data)) for n, flags, data in sections) + b"".join(
            bytes(data) for _, _, data in sections)

    def write(self, path):
        """Returns (content hash, bytes of the file, bytes of footer and trailer)."""
        body, offsets, hashes = self.body()
        header = MAGIC + struct.pack("<HHIQQQ16x", *self.version, 64, *self.features)
        header += struct.pack("<Q", hash64(header, 0))
        body[:64] = header
        footer = self.footer(offsets, hashes)
        at = len(body) + len(footer)
        trailer = struct.pack("<HHIIIQQQQ", *self.version, self.trailer_reserved, len(footer), len(footer),
                              hash64(footer, len(body)), *self.features)
        trailer += struct.pack("<Q", hash64(trailer, at)) + MAGIC[::-1]
        with open(path, "wb") as f:
            f.write(body + footer + trailer)
        return hash128(header + footer + trailer), at + 64, len(footer) + 64


# ---- restricted files

UINT32, UINT64, STRING, BINARY, LIST = 8, 9, 16, 17, 24


def plain_page(streams, n_rows):
    """Chapter 5: streams are (role, size, count, bytes)."""
    head = struct.pack("<IBBH", n_rows, len(streams), 0, 0) + b"".join(
        struct.pack("<BBBBII", role, 0, 0, size, count, len(data)) for role, size, count, data in streams)
    for _, _, _, data in streams:
        if len(data) >= 256:
            head += bytes(align(len(head)) - len(head))
        head += data
    return head


def table_page(kind, values):
    n = len(values)
    if kind in (UINT32, UINT64):
        size = 4 if kind == UINT32 else 8
        data = b"".join(v.to_bytes(size, "little") for v in values)
        return Page(plain_page([(4, size, n, data)], n), 0, n, size * n, 0)
    lengths = struct.pack("<%dI" % n, *map(len, values))
    if kind == LIST:
        flat = [v for row in values for v in row]
        stream = (4, 4, len(flat), struct.pack("<%dI" % len(flat), *flat))
    else:
        flat = b"".join(v.encode() if isinstance(v, str) else v for v in values)
        lengths = struct.pack("<%dI" % n, *(len(v.encode()) if isinstance(v, str) else len(v) for v in values))
        stream = (5, 1, len(flat), flat)
    return Page(plain_page([(2, 4, n, lengths), stream], n), 0, n, 4 * n + len(stream[3]), 0)


class Table(Shard):
    """A root or a segment: rows are dicts."""

    def __init__(self, path):
        super().__init__(path)
        names = [c[5].decode() for c in self.columns]
        self.rows = [dict(zip(names, row)) for row in reader.Shard(path).rows()]

    def write(self, path):
        self.pages = [table_page(c[0], [row[c[5].decode()] for row in self.rows]) for c in self.columns]
        for p in self.pages:
            p.raw_len = len(p.stored)
        self.groups, self.chunks = [len(self.rows)], [1] * len(self.columns)
        self.tweak()
        return super().write(path)

    def tweak(self):
        """For tests that want the pages otherwise."""


class Dataset:
    """The newest snapshot, of one segment. Change root, segment and shards, then write()."""

    def __init__(self, path):
        self.path = path
        self.root_path = os.path.join(path, "roots", sorted(os.listdir(os.path.join(path, "roots")))[-1])
        self.root = Table(self.root_path)
        [self.fact] = [f for f in self.root.rows if f["kind"] == "segment"]
        self.segment_path = os.path.join(path, self.fact["name"])
        self.segment = Table(self.segment_path)
        self.shards = [Shard(os.path.join(path, e["path"])) for e in self.segment.rows]

    def write(self):
        for shard, e in zip(self.shards, self.segment.rows):
            e["hash"], e["file_bytes"], e["footer_bytes"] = shard.write(os.path.join(self.path, e["path"]))
        os.unlink(self.segment_path)
        h, size, _ = self.segment.write(self.segment_path)
        self.fact.update(hash=h, bytes=size, name="segments/%s.seg" % hexname(h))
        os.rename(self.segment_path, os.path.join(self.path, self.fact["name"]))
        self.root.write(self.root_path)
