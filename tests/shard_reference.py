#!/usr/bin/python3
"""A second reader of shard files: written from docs/format.md alone, it shares no code with the C.

    shard_reference.py SHARD...

Prints every row as a JSON list, columns in order, null for null; sparse vectors as lists of pairs,
binary as hex. Checks every hash on the way. Needs libxxhash and libzstd, nothing else."""
import ctypes
import json
import struct
import sys

xxh = ctypes.CDLL("libxxhash.so.0")
zstd = ctypes.CDLL("libzstd.so.1")
xxh.XXH3_64bits_withSeed.restype = ctypes.c_uint64
xxh.XXH3_64bits_withSeed.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64]
zstd.ZSTD_decompress_usingDict.restype = ctypes.c_size_t
zstd.ZSTD_createDCtx.restype = ctypes.c_void_p

NUMBERS = {2: "b", 3: "h", 4: "i", 5: "q", 6: "B", 7: "H", 8: "I", 9: "Q", 12: "f", 13: "d"}
BOOL, STRING, BINARY, LIST, SPARSE = 1, 16, 17, 24, 25
PLAIN, CONST, RLE, DICT, FOR, DELTA, BSS = range(7)
(VALIDITY, LENGTHS, INDICES, VALUES, BYTES, DICT_VALUES, DICT_LENGTHS, DICT_BYTES, CODES,
 OVERFLOW) = range(1, 11)
UINTS = {1: "B", 2: "H", 4: "I", 8: "Q"}


def check(ok, what):
    if not ok:
        sys.exit("damaged: " + what)


def check_hash(data, off, want):
    check(xxh.XXH3_64bits_withSeed(data, len(data), off) == want, "hash at byte %d" % off)


def expand(data, raw_len, zdict=None):
    out = ctypes.create_string_buffer(max(raw_len, 1))
    context = ctypes.c_void_p(zstd.ZSTD_createDCtx())
    n = zstd.ZSTD_decompress_usingDict(context, out, ctypes.c_size_t(raw_len), data, ctypes.c_size_t(len(data)),
                                       zdict, ctypes.c_size_t(len(zdict or b"")))
    zstd.ZSTD_freeDCtx(context)
    check(n == raw_len, "zstd frame")
    return out.raw[:raw_len]


def align(n):
    return (n + 63) // 64 * 64


# ---- streams (chapters 5 and 6)

def bits_of(data, n, width):
    whole = int.from_bytes(data, "little")
    return [whole >> i * width & (1 << width) - 1 for i in range(n)]


def whole_block(data, width):
    n_lanes, size = (32, 4) if width <= 32 else (16, 8)
    words = struct.unpack("<%d%s" % (len(data) // size, UINTS[size]), data)
    lanes = [sum(w << 8 * size * k for k, w in enumerate(words[lane::n_lanes]))
             for lane in range(n_lanes)]
    return [lanes[i % n_lanes] >> i // n_lanes * width & (1 << width) - 1 for i in range(1024)]


def frame_of_reference(data, count, size):
    n_blocks = (count + 1023) // 1024
    widths, pos = data[:n_blocks], n_blocks * (1 + size)
    bases = struct.unpack("<%d%s" % (n_blocks, UINTS[size]), data[n_blocks:pos])
    values = []
    for width, base in zip(widths, bases):
        n = min(1024, count - len(values))
        length = 128 * width if n == 1024 else (n * width + 7) // 8
        block = data[pos:pos + length]
        packed = whole_block(block, width) if n == 1024 else bits_of(block, n, width)
        values += [(base + p) % (1 << 8 * size) for p in packed]
        pos += length
    check(pos == len(data), "length of packed values")
    return values


def cut_ints(data, size, signed):
    check(size and len(data) % size == 0, "length of a stream")
    return [int.from_bytes(data[i:i + size], "little", signed=signed)
            for i in range(0, len(data), size)]


def integers(enc, size, full, count, data, signed):
    """count integers of full bytes, modulo 2^(8 full); floats are their bits."""
    if enc == PLAIN:
        values = cut_ints(data, size, signed)
    elif enc == CONST:
        values = cut_ints(data, size, signed) * count
    elif enc == RLE:
        n = len(data) // (1 + size)
        runs = cut_ints(data[n:], size, signed)
        values = [v for length, v in zip(data[:n], runs) for _ in range(length + 1)]
    elif enc == FOR:
        values = frame_of_reference(data, count, size)
    elif enc == BSS:
        planes = [data[i * count:(i + 1) * count] for i in range(size)]
        values = cut_ints(bytes(b for value in zip(*planes) for b in value), size, signed)
    else:
        check(enc == DELTA and size == full, "encoding")
        total, values = int.from_bytes(data[:size], "little"), []
        for d in integers(data[size], data[size + 1], full, count, data[size + 2:], True):
            total += d
            values.append(total)
    check(len(values) == count, "number of values")
    return values


class Page:
    def __init__(self, data, kind, elem):
        self.kind, self.elem, self.streams = kind, elem, {}
        self.n_rows, n_streams, page_kind, reserved = struct.unpack_from("<IBBH", data)
        check(page_kind == 0 and reserved == 0, "kind of page")
        pos = 8 + 12 * n_streams
        for i in range(n_streams):
            role, enc, version, size, count, length = struct.unpack_from("<BBBBII", data, 8 + 12 * i)
            check(version == 0, "version of an encoding")
            if enc == PLAIN and length >= 256:
                pos = align(pos)
            self.streams[role] = enc, size, count, data[pos:pos + length]
            pos += length
        check(pos == len(data), "end of a page")

    def bits(self, role):
        enc, _, count, data = self.streams[role]
        return [data[0]] * count if enc == CONST else bits_of(data, count, 1)

    def numbers(self, role, number=8):
        enc, size, count, data = self.streams[role]
        letter = NUMBERS[number]
        if enc == DICT:
            entries = self.numbers(DICT_VALUES, number)
            return [entries[c] if c < len(entries) else None for c in self.numbers(CODES)]
        full = struct.calcsize(letter)
        raw = integers(enc, size, full, count, data, letter in "bhiq")
        packed = b"".join((v % (1 << 8 * full)).to_bytes(full, "little") for v in raw)
        return list(struct.unpack("<%d%s" % (count, letter), packed))

    def cut(self, values, lengths):
        pos = 0
        for n in lengths:
            yield values[pos:pos + n]
            pos += n
        check(pos == len(values), "sum of lengths")

    def strings(self):
        if self.streams[BYTES][0] != DICT:
            return list(self.cut(self.streams[BYTES][3], self.numbers(LENGTHS)))
        entries = list(self.cut(self.streams[DICT_BYTES][3], self.numbers(DICT_LENGTHS)))
        return [entries[c] if c < len(entries) else None for c in self.numbers(CODES)]

    def plain_rows(self):
        if self.kind == BOOL:
            return [bool(b) for b in self.bits(VALUES)]
        if self.kind in NUMBERS:
            return self.numbers(VALUES, self.kind)
        if self.kind in (STRING, BINARY):
            return self.strings()
        values, lengths = self.numbers(VALUES, self.elem), self.numbers(LENGTHS)
        if self.kind == LIST:
            return list(self.cut(values, lengths))
        return list(self.cut(list(zip(self.numbers(INDICES), values)), lengths))

    def large(self, data):
        """An out-of-line value (chapter 7)."""
        if self.kind in (STRING, BINARY):
            return data
        size = struct.calcsize(NUMBERS[self.elem])
        n = len(data) // (size if self.kind == LIST else size + 4)
        values = list(struct.unpack("<%d%s" % (n, NUMBERS[self.elem]), data[len(data) - n * size:]))
        return values if self.kind == LIST else list(zip(struct.unpack_from("<%dI" % n, data), values))

    def rows(self, pieces):
        valid = self.bits(VALIDITY) if VALIDITY in self.streams else [1] * self.n_rows
        present = self.plain_rows()
        check(len(valid) == self.n_rows and len(present) == sum(valid), "rows of a page")
        following = iter(present)
        rows = [next(following) if v else None for v in valid]
        if OVERFLOW in self.streams:
            for row, first, n_bytes, n, _ in struct.iter_unpack("<IIQII", self.streams[OVERFLOW][3]):
                data = b"".join(pieces[first:first + n])
                check(len(data) == n_bytes, "bytes of an out-of-line value")
                rows[row] = self.large(data)
        return rows


# ---- files (chapters 2 and 3)

class Shard:
    def __init__(self, path):
        with open(path, "rb") as f:
            self.data = f.read()
        tail = self.data[-64:]
        check(tail[56:] == self.data[:8][::-1] == b"\n\x1a\n\r\x44\x48\x53\x89", "magic")
        check(struct.unpack_from("<H", tail)[0] == 2, "version of the format")
        stored, raw, footer_hash = struct.unpack_from("<IIQ", tail, 8)
        check_hash(tail[:48], len(self.data) - 64, struct.unpack_from("<Q", tail, 48)[0])
        off = len(self.data) - 64 - stored
        footer = self.data[off:off + stored]
        check_hash(footer, off, footer_hash)
        self.parse(expand(footer, raw) if stored < raw else footer)

    def parse(self, footer):
        n_sections, n_cols, n_groups, n_pages, n_pieces, _ = struct.unpack_from("<6I", footer)
        sections, pos = {}, 32 + 8 * n_sections
        for i in range(n_sections):
            name, _, length = struct.unpack_from("<HHI", footer, 32 + 8 * i)
            sections[name] = footer[pos:pos + length]
            pos += length
        check(pos == len(footer), "end of the footer")
        columns = list(struct.iter_unpack("<BBBBIII", sections[1][:16 * n_cols]))
        self.columns, pos = [], 16 * n_cols
        for kind, elem, _, _, _, name_len, _ in columns:
            self.columns.append((sections[1][pos:pos + name_len].decode(), kind, elem))
            pos += name_len
        self.groups = list(struct.iter_unpack("<QII", sections[2]))
        self.pages = self.table(sections[3], n_pages, "IIIQIQ")
        self.chunks = struct.unpack("<%dI" % (n_groups * n_cols), sections[4])
        self.pieces = self.table(sections.get(5, b""), n_pieces, "IIIQ")
        dicts, pos = sections.get(9, bytes(4 * n_cols)), 4 * n_cols
        self.dicts = []
        for length in struct.unpack("<%dI" % n_cols, dicts[:pos]):
            self.dicts.append(dicts[pos:pos + length] or None)
            pos += length
        check(pos == len(dicts), "end of the dictionaries")

    @staticmethod
    def table(data, n, letters):
        fields, pos = [], 0
        for letter in letters:
            fields.append(struct.unpack_from("<%d%s" % (n, letter), data, pos))
            pos += n * struct.calcsize("<" + letter)
        check(pos == len(data), "length of a section")
        return iter(list(zip(*fields)))

    def stored(self, at, stored_len, raw_len, kind, want, zdict=None):
        at = at if kind else align(at)
        data = self.data[at:at + stored_len]
        check_hash(data, at, want)
        check(kind < 2 or zdict is not None, "a page's dictionary")
        return expand(data, raw_len, zdict if kind == 2 else None) if kind else data, at + stored_len

    def rows(self):
        chunks = iter(self.chunks)
        for at, n_rows, n_pieces in self.groups:
            pieces, columns = [], []
            for _ in range(n_pieces):
                piece, at = self.stored(at, *next(self.pieces))
                pieces.append(piece)
            for (_, kind, elem), zdict in zip(self.columns, self.dicts):
                values = []
                for _ in range(next(chunks)):
                    stored_len, raw_len, _, _, codec, want = next(self.pages)
                    page, at = self.stored(at, stored_len, raw_len, codec, want, zdict)
                    values += Page(page, kind, elem).rows(pieces)
                check(len(values) == n_rows, "rows of a chunk")
                columns.append([v.decode() if kind == STRING and v is not None else v for v in values])
            yield from zip(*columns)


if __name__ == "__main__":
    for arg in sys.argv[1:]:
        for one in Shard(arg).rows():
            print(json.dumps(one, default=lambda b: b.hex()))
