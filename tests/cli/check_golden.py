"""The golden files, by the reader that was written from docs/format.md and by the formula of
tests/golden_util.h once more: nothing here comes from the C code."""

import glob
import os
import re
import struct

from util import main, need_reader

TOP = os.environ["top_srcdir"]
GOLDEN = os.path.join(TOP, "tests", "golden")
need_reader()
import shardline_reader as reader  # noqa: E402
from shardline_reader import Damaged, Dataset, PageReader, Shard, Unsupported  # noqa: E402

ROWS = [0, 1, 1023, 1024, 1025]
# What must be there: columns, row groups, codecs of pages, nullable.
FILES = {
    "numbers-none": ("numbers", ROWS, {0}, False),
    "numbers-none-nullable": ("numbers", ROWS, {0}, True),
    "numbers-zstd": ("numbers", ROWS, {0, 1}, False),
    "numbers-zstd-nullable": ("numbers", ROWS, {0, 1}, True),
    "others-none": ("others", ROWS, {0}, False),
    "others-none-nullable": ("others", ROWS, {0}, True),
    "others-zstd": ("others", ROWS, {0, 1}, False),
    "others-zstd-nullable": ("others", ROWS, {0, 1}, True),
    "pages-none": ("pages", ROWS, {0}, True),
    "pages-zdict": ("pages", ROWS, {0, 1, 2}, False),
    "pages-zdict-nullable": ("pages", ROWS, {0, 1, 2}, True),
    "index-none": ("index", ROWS, {0}, False),
    "index-zstd-nullable": ("index", ROWS, {0}, True),  # noise
    "large-zstd-nullable": ("large", [3, 3], {0, 1}, True),
    "empty": ("numbers", [], set(), True),
    "tiny": ("tiny", [3], {0}, True),
}
TINY = {"uint16 tiny": [7, 7, 300], "string tiny": ["one", None, "three"]}
ENCODINGS = ["plain", "constant", "rle", "dict", "for", "delta", "bss"]
INTS, FLOATS = set(ENCODINGS), {"plain", "constant", "rle", "dict", "bss"}
M64 = (1 << 64) - 1


# ---- the formula

def mix(z):
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & M64
    z = (z ^ z >> 27) * 0x94D049BB133111EB & M64
    return z ^ z >> 31


def fnv(name):
    h = 14695981039346656037
    for byte in name.encode():
        h = (h ^ byte) * 1099511628211 & M64
    return h


class Column:
    """What the column of that name holds."""

    def __init__(self, name, nullable):
        self.name, self.nullable, self.start = name, nullable, fnv(name)
        self.type, self.shape = name.split(" ")
        self.kind, self.elem = re.fullmatch(r"(\w+)(?:<(\w+).*|\[.*)?", self.type).groups()
        dims = re.findall(r",(\d+)", self.type)
        self.width = 1
        for d in dims:
            self.width *= int(d)
        number = self.elem or self.kind
        self.is_signed = number.startswith("int") or number == "timestamp"
        self.is_float = "float" in number
        digits = re.search(r"\d+", number)
        self.bits = int(digits.group()) if digits else 64

    def hash(self, a, b):
        return mix((self.start + a * 0x9E3779B97F4A7C15 + b * 0xC2B2AE3D27D4EB4F) & M64)

    def bits_of(self, i, text=False):
        bits, signed = (64, False) if text else (self.bits, self.is_signed)
        h, shape = self.hash(i, 0), self.shape
        if shape == "narrow":
            return h % 100 - 50 * signed
        if shape == "constant":
            return self.hash(0, 0)
        if shape == "rle":
            return self.hash(i // 300, 0)
        if shape == "dict":
            return self.hash(h % 7, 1)
        if shape == "even":
            return self.hash(i, 4)
        if shape == "words":
            return self.hash(h % 400, 1)
        if shape == "for":
            w = i // 512 * 11 % (bits + 1)
            return (h >> 64 - w) - ((1 << w >> 1) if signed else 0)
        if shape == "delta":
            return i * 1000 + h % 16
        if shape == "bss":
            return self.hash(i // 4, 0) if self.is_float else self.hash(i // 2, 0) % (1 << 20)
        special = {5: M64, 6: 1 << bits - 1, 7: 0}
        return special.get(i % 64, self.hash(i // 8, 0))

    def number(self, i):
        v = self.bits_of(i) & (1 << self.bits) - 1
        if not self.is_float:
            return v - (1 << self.bits) if self.is_signed and v >> self.bits - 1 else v
        if (self.elem or self.kind) == "bfloat16":
            v <<= 16
        size = 4 if self.bits == 16 and (self.elem or self.kind) == "bfloat16" else self.bits // 8
        return struct.unpack({2: "<e", 4: "<f", 8: "<d"}[size], v.to_bytes(size, "little"))[0]

    def length(self, row, number, text):
        if self.shape == "long" and row % 1024 < len(ROWS):
            return ROWS[row % 1024]
        h = self.hash(row, 2)
        if self.shape == "even":
            return 24
        return number >> 32 & 15 if text else 0 if h % 16 else 1 + h // 16 % 3

    def text(self, row):
        number = self.bits_of(row, True)
        n = self.length(row, number, True)
        raw = b"".join(mix(number + j & M64).to_bytes(8, "little") for j in range((n + 7) // 8))[:n]
        if self.kind == "binary":
            return raw
        letters = bytes(ord("a") + b % 26 for b in raw)
        return (b"\xc3\xa9" + letters[2:] if n >= 2 and number % 5 == 0 else letters).decode()

    def is_null(self, row):
        if self.shape == "large":
            return self.nullable and row == 1
        if self.shape == "even":
            return self.nullable and self.hash(row, 1) % 64 == 0
        return self.nullable and (self.hash(row, 1) % 8 < 5 or (self.shape == "constant" and row < 1024))

    def large(self, row):
        size = [(1 << 20) + 1, 3, 1 << 20, 0, 2500000, 1][row]
        text = b"".join(bytes([ord("a") + (j + row) % 26]) * 997 for j in range(size // 997 + 1))[:size]
        if self.kind in ("string", "binary"):
            return text.decode() if self.kind == "string" else text
        if self.elem == "string":
            return [text[j:j + 2500].decode() for j in range(0, size // 2500 * 2500 + 1, 2500)]
        if self.kind == "list":
            return [j // 5000 + row for j in range((size + 1) // 2)]
        if self.kind == "tensor":
            return [(j // 5000 + row) % 256 for j in range(self.width)]
        return [(j + row, float(j // 5000 + row)) for j in range(size // 12 + 1 if row == 0 else row)]

    def value(self, row):
        if self.shape == "tiny":
            return TINY[self.name][row]
        if self.is_null(row):
            return None
        if self.shape == "large":
            return self.large(row)
        if self.kind in ("string", "binary"):
            return self.text(row)
        if self.kind == "bool":
            return bool(self.bits_of(row, True) & 1)
        if self.kind == "tensor":
            return [self.number(row + k) for k in range(self.width)]
        if self.elem is None:
            return self.number(row)
        n = self.length(row, 0, False)
        if self.elem == "string":
            return [self.text(row + k) for k in range(n)]
        first = 32 * row if self.shape == "even" else row
        numbers = [self.number(first + k) for k in range(n)]
        if self.kind == "list":
            return numbers
        at, out = -1, []
        for k in range(n):
            at += 1 + self.hash(row, 3 + k) % 1000
            out.append((at, numbers[k]))
        return out


def exact(value):
    """Floats by their bits, so that -0.0 is not 0.0 and NaN is NaN."""
    if isinstance(value, (list, tuple)):
        return [exact(v) for v in value]
    if isinstance(value, float):
        return "NaN" if value != value else struct.pack("<d", value)
    return value


# ---- tests

NAMES = {n: t for n, t in zip([*range(1, 14), 16, 17, 20, 21, 24, 25], (
    "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 bfloat16 float32 float64 "
    "string binary timestamp tensor list sparse").split())}


def type_name(f):
    if f.type == reader.TIMESTAMP:
        return "timestamp[%s]" % ("s", "ms", "us", "ns")[f.params[0]]
    if f.type == reader.TENSOR:
        return "tensor<%s,%s>" % (NAMES[f.elem], ",".join(
            map(str, struct.unpack("<%dI" % f.params[0], f.params[4:]))))
    return "%s<%s>" % (NAMES[f.type], NAMES[f.elem]) if f.elem else NAMES[f.type]


def check_rows(shard, row0, nullable, what):
    n_rows = sum(g.n_rows for g in shard.groups)
    for c, f in enumerate(shard.fields):
        assert type_name(f) == f.name.split(" ")[0] and f.nullable == nullable, f
        column = Column(f.name, nullable)
        got = shard.column(c)
        assert len(got) == n_rows
        for row, value in enumerate(got, row0):
            want = column.value(row)
            assert exact(value) == exact(want), (what, f.name, row, value, want)


def test_values(_tmp):
    for name, (_, groups, _, nullable) in FILES.items():
        shard = Shard(os.path.join(GOLDEN, name + ".shard"))
        assert [g.n_rows for g in shard.groups] == groups
        check_rows(shard, 0, nullable, name)


def streams(shard, c):
    """(page, its streams) of every page of a column."""
    for g in shard.groups:
        for p in g.columns[c]:
            page = PageReader(shard.raw(p, shard.dicts[c]), p, shard.fields[c])
            yield p, page.streams


def test_each_column_has_the_encoding_it_is_named_after(_tmp):
    """But for pages of few values; and codecs are as said."""
    for name, (_, _, codecs, nullable) in FILES.items():
        shard = Shard(os.path.join(GOLDEN, name + ".shard"))
        met = set()
        for c, f in enumerate(shard.fields):
            shape = f.name.split(" ")[1]
            for p, by_role in streams(shard, c):
                met.add(p.kind)
                main = by_role.get(reader.BYTES if f.is_text else reader.VALUES)
                if shape in ENCODINGS and p.n_rows > 9 and main.count > 9 and not (
                        f.is_text and shape == "constant"):
                    assert ENCODINGS[main.encoding] == shape, (name, f.name, main.encoding)
                assert nullable or reader.VALIDITY not in by_role
        assert met == codecs, (name, met)


def test_combinations(_tmp):
    """Every type and encoding that can be, with and without nulls, with and without zstd; all lengths;
    every role, both forms of out-of-line rows, streams of all encodings for lengths and codes."""
    for end in ("none", "none-nullable", "zstd", "zstd-nullable"):
        have, roles = {}, set()
        for kind in ("numbers", "others"):
            shard = Shard(os.path.join(GOLDEN, "%s-%s.shard" % (kind, end)))
            for c, f in enumerate(shard.fields):
                have.setdefault(f.name.split(" ")[0], set()).update(
                    ENCODINGS[s.encoding] for _, by_role in streams(shard, c)
                    for role, s in by_role.items() if role in (reader.VALUES, reader.BYTES))
                roles.update(role for _, by_role in streams(shard, c) for role in by_role)
        for t in NAMES.values():
            if t.startswith("int") or t.startswith("uint"):
                assert have[t] >= INTS, (end, t, have[t])
            elif "float" in t:
                assert have[t] >= FLOATS, (end, t, have[t])
        assert have["timestamp[us]"] >= INTS and have["bool"] == {"plain", "constant"}
        for t in ("tensor<int16,3>", "list<int32>", "sparse<int64>"):
            assert have[t] >= INTS, (end, t, have[t])
        for t in ("tensor<float32,1,2>", "list<float32>", "sparse<float32>"):
            assert have[t] >= FLOATS, (end, t, have[t])
        for t in ("string", "binary", "list<string>"):
            assert have[t] == {"plain", "dict"}, (end, t, have[t])
        for t in NAMES.values():
            if re.fullmatch(r"u?int\d+|b?float\d+", t):
                assert "list<%s>" % t in have and "sparse<%s>" % t in have, t
        want = set(range(1, reader.ELEM_LENGTHS + 1)) - {reader.OVERFLOW}
        assert roles == want - (set() if "nullable" in end else {reader.VALIDITY}), roles


def test_large_values_are_out_of_line(_tmp):
    shard = Shard(os.path.join(GOLDEN, "large-zstd-nullable.shard"))
    for c, f in enumerate(shard.fields):
        rows = sum(by_role[reader.OVERFLOW].count for _, by_role in streams(shard, c)
                   if reader.OVERFLOW in by_role)
        want = {"tensor": 5, "sparse": 1, "list": 3 if f.elem == reader.STRING else 2}
        assert rows == want.get(NAMES[f.type], 2), (f.name, rows)


def test_there_are_length_indices(_tmp):
    """Shard.column() compares them with the values."""
    for name in "index-none", "index-zstd-nullable":
        shard = Shard(os.path.join(GOLDEN, name + ".shard"))
        assert [len(g.lengths) for g in shard.groups] == [0, 0, 1, 1, 1], name


def test_dataset(_tmp):
    ds, row0 = Dataset(os.path.join(GOLDEN, "dataset")), 0
    assert ds.splits == {"train": 41, "test": 7}
    assert sorted(f.kind for f in ds.facts)[-3:] == ["segment", "split", "split"]
    for (entry, shard), (split, n) in zip(ds.shards(), (("train", 40), ("test", 7), ("train", 1))):
        assert (entry.split, entry.rows) == (split, n)
        check_rows(shard, row0, True, "dataset")
        row0 += n
    assert row0 == 48 and len(ds.entries) == 3


def test_the_reader_sees_every_flipped_bit(_tmp):
    """Every byte of a shard is under a hash, or has to be zero, or to be what another one says."""
    with open(os.path.join(GOLDEN, "tiny.shard"), "rb") as f:
        data = f.read()
    for at in range(len(data)):
        broken = data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1:]
        try:
            list(Shard(broken).rows())
        except (Damaged, Unsupported):
            continue
        raise AssertionError("byte %d" % at)


def test_the_reader_is_small(_tmp):
    with open(os.path.join(TOP, "tests", "shardline_reader.py")) as f:
        lines = f.read().splitlines()
    assert len(lines) <= 400 and max(map(len, lines)) <= 100, len(lines)


def test_all_files_are_distributed(_tmp):
    """Every file in tests/golden/ is one of files.mk, by which EXTRA_DIST has it, and the other way."""
    with open(os.path.join(GOLDEN, "files.mk")) as f:
        listed = re.findall(r"^\ttests/golden/(\S+)", f.read(), re.M)
    found = [os.path.relpath(p, GOLDEN) for p in glob.glob(GOLDEN + "/**", recursive=True)
             if os.path.isfile(p)]
    assert sorted(listed + ["files.mk"]) == sorted(found), set(listed) ^ set(found)
    assert {n + ".shard" for n in FILES} == {p for p in listed if "/" not in p}
    assert sum(os.path.getsize(os.path.join(GOLDEN, p)) for p in found) < 5 << 20


def test_the_document_takes_the_tiny_file_apart(_tmp):
    """The bytes in docs/format.md are those of the file."""
    with open(os.path.join(TOP, "docs", "format.md")) as f:
        rows = re.findall(r"^\| (\d+) \| `([0-9A-F ]+)`(?: x (\d+))? \|", f.read(), re.M)
    with open(os.path.join(GOLDEN, "tiny.shard"), "rb") as f:
        data = f.read()
    at = 0
    for off, hex_bytes, times in rows:
        piece = bytes.fromhex(hex_bytes) * int(times or 1)
        assert at == int(off), (at, off)
        assert data[at:at + len(piece)] == piece, (off, hex_bytes, data[at:at + len(piece)].hex(" "))
        at += len(piece)
    assert at == len(data), (at, len(data))


main(globals())
