#!/usr/bin/python3
"""A second reader of shard files and datasets, written from docs/format.md alone: it shares no code
with the C. Plain rather than fast; it reads files whole, and checks a hash before what it covers.

    shardline_reader.py SHARD...     every row as a JSON list; null is null, binary is hex
    shardline_reader.py DATASET...   the snapshot's name, its rows and splits; every byte is checked
Needs Debian's python3-zstandard and python3-xxhash."""
import json, math, os, re, struct, sys  # noqa: E401
from collections import namedtuple
from itertools import accumulate, islice
import zstandard
from xxhash import xxh3_64_intdigest as hash64, xxh3_128_digest as hash128

MAGIC, MAJOR = b"\x89SHD\r\n\x1a\n", 2
BOOL, INT64, UINT32, FLOAT16, BFLOAT16, FLOAT32 = 1, 5, 8, 10, 11, 12
STRING, BINARY, TIMESTAMP, TENSOR, LIST, SPARSE = 16, 17, 20, 21, 24, 25
NUMBERS = dict(zip(range(2, 14), "bhiqBHIQeHfd"))  # struct's letters; bfloat16 is widened
SIZE = {number: struct.calcsize("<" + letter) for number, letter in NUMBERS.items()}
PLAIN, CONST, RLE, DICT, FOR, DELTA, BSS = range(7)
(VALIDITY, LENGTHS, INDICES, VALUES, BYTES, DICT_VALUES, DICT_LENGTHS, DICT_BYTES, CODES, OVERFLOW,
 ELEM_LENGTHS) = range(1, 12)
SCHEMA, GROUPS, PAGES, CHUNKS, PIECES, STATS, ENCODINGS, ORIGIN, ZDICTS, INDEX = range(1, 11)

Field = namedtuple("Field", "name type elem nullable flags params number width is_text is_list")
LENGTHS_FIELD = Field("", UINT32, 0, True, 0, b"", UINT32, 1, False, False)
Page = namedtuple("Page", "off stored_len raw_len n_rows data_len kind hash")
Group = namedtuple("Group", "n_rows pieces columns lengths")

Damaged = type("Damaged", (Exception,), {})  # ECORRUPT, ECHECKSUM, ETRUNC or ELIMIT
Unsupported = type("Unsupported", (Exception,), {})  # EUNSUPPORTED

def check(ok, what, error=Damaged):
    if not ok:
        raise error(what)
def known(ok, what):
    check(ok, what, Unsupported)

def unzstd(data, raw_len, dictionary=None):
    try:
        check(zstandard.get_frame_parameters(data).content_size == raw_len, "size of a zstd frame")
        frame = zstandard.ZstdDecompressor(dict_data=dictionary).decompressobj()
        raw = frame.decompress(data)
    except zstandard.ZstdError as e:
        raise Damaged("a zstd frame: %s" % e)
    check(len(raw) == raw_len and not frame.unused_data, "a zstd frame")
    return raw

def cut(values, lengths):
    ends = list(accumulate(lengths, initial=0))
    check(ends[-1] == len(values), "sum of lengths")
    return [values[a:b] for a, b in zip(ends, ends[1:])]

def unpack(data, number, n):
    check(len(data) == n * SIZE[number], "length of numbers")
    values = struct.unpack("<%d%s" % (n, NUMBERS[number]), data)
    if number == BFLOAT16:
        values = struct.unpack("<%df" % n, struct.pack("<%dI" % n, *(v << 16 for v in values)))
    return list(values)

def integers(data, width, signed):  # integers of any width, 3 bytes, say
    return [int.from_bytes(data[i:i + width], "little", signed=signed)
            for i in range(0, len(data), width)]
def wrap(v, size, signed):
    v %= 1 << 8 * size
    return v - (1 << 8 * size) if signed and v >> 8 * size - 1 else v

# ---- streams (chapter 6)
def bits_of(data, n, width):
    whole, mask = int.from_bytes(data, "little"), (1 << width) - 1
    check(len(data) == (n * width + 7) // 8 and whole >> n * width == 0, "bits behind the last one")
    return [whole >> i * width & mask for i in range(n)]

def whole_block(data, width):
    n, size = (32, 4) if width <= 32 else (16, 8)
    words, mask = integers(data, size, False), (1 << width) - 1
    lanes = [sum(w << 8 * size * k for k, w in enumerate(words[lane::n])) for lane in range(n)]
    return [lanes[i % n] >> i // n * width & mask for i in range(1024)]

def frame_of_reference(data, count, size, signed):
    n_blocks = (count + 1023) // 1024
    at, values = n_blocks * (1 + size), []
    for width, base in zip(data[:n_blocks], integers(data[n_blocks:at], size, False)):
        n = min(1024, count - len(values))
        length = 128 * width if n == 1024 else (n * width + 7) // 8
        check(width <= 8 * size and at + length <= len(data), "width of packed values")
        block = data[at:at + length]
        packed = whole_block(block, width) if n == 1024 else bits_of(block, n, width)
        values += [wrap(base + p, size, signed) for p in packed]
        at += length
    check(at == len(data) and len(values) == count, "length of packed values")
    return values

class Stream(namedtuple("Stream", "encoding size count data")):
    def numbers(self, number, n):  # its n values, which are of this type; not DICT
        enc, size, count, data = self
        check(count == n, "count of a stream")
        full, is_int, signed = SIZE[number], number < FLOAT16, number <= INT64
        known(enc in (PLAIN, CONST, RLE, BSS) or enc in (FOR, DELTA) and is_int, "an encoding")
        sizes = range(1, full + 1) if enc == BSS else (1, 2, 4, 8) if enc in (PLAIN, RLE) else ()
        check(size == full or is_int and size in sizes and size < full, "size of a stream")
        if enc == FOR:
            return frame_of_reference(data, count, size, signed)
        if enc == DELTA:
            known(len(data) >= size + 2 and data[size] != DELTA, "encoding of differences")
            inner = Stream(data[size], data[size + 1], count, data[size + 2:])
            differences = inner.numbers(number if signed else number - 4, count)
            sums = accumulate(differences, initial=int.from_bytes(data[:size], "little"))
            return [wrap(v, size, signed) for v in sums][1:]
        if enc == CONST:
            check(len(data) == size, "length of a constant")
            data *= count
        elif enc == RLE:
            n = len(data) // (1 + size)
            data = b"".join(v * (n + 1) for n, v in zip(data, cut(data[n:], [size] * n)))
        elif enc == BSS:
            check(len(data) == count * size, "length of planes")
            data = bytes(data[p * count + i] for i in range(count) for p in range(size))
        check(len(data) == count * size, "length of a stream")
        return integers(data, size, signed) if is_int else unpack(data, number, count)
    def bits(self, count):
        check(self.size == 0 and self.count == count, "size of a bitmap")
        known(self.encoding in (PLAIN, CONST), "encoding of a bitmap")
        if self.encoding == PLAIN:
            return bits_of(self.data, count, 1)
        return bits_of(self.data, 1, 1) * count
    def bytes(self, size=1):
        known(self.encoding == PLAIN, "encoding of bytes")
        check(self.size == size and size * self.count == len(self.data), "count of bytes")
        return self.data

# ---- pages (chapters 5 and 7)
class PageReader:
    def __init__(self, raw, page, field):
        self.f, self.page, self.streams = field, page, {}
        self.outside = field.type == TENSOR and field.width * SIZE[field.number] > 1 << 20
        n_rows, n_streams, kind, reserved = struct.unpack_from("<IBBH", raw)
        known(kind == 0 and reserved == 0 and n_streams <= 16, "kind of a page")
        at, last = 8 + 12 * n_streams, 0
        check(n_rows == page.n_rows and at <= len(raw), "head of a page")
        for role, enc, version, size, count, length in struct.iter_unpack("<BBBBII", raw[8:at]):
            check(role > last, "order of roles")
            known(role <= ELEM_LENGTHS and enc <= BSS and version == 0, "role, encoding, version")
            start = at + -at % 64 if enc == PLAIN and length >= 256 else at
            check(not any(raw[at:start]), "bytes between streams")
            self.streams[role] = Stream(enc, size, count, raw[start:start + length])
            at, last = start + length, role
        check(at == len(raw), "the end of a page")
        self.check_roles()
    def check_roles(self):
        f, main = self.f, BYTES if self.f.is_text else VALUES
        by_dict = main in self.streams and self.streams[main].encoding == DICT
        need = [LENGTHS] * f.is_list + [INDICES] * (f.type == SPARSE) + [main] * (not self.outside)
        if by_dict:
            need += [CODES, DICT_LENGTHS, DICT_BYTES] if f.is_text else [CODES, DICT_VALUES]
        elif f.is_text:
            need.append(ELEM_LENGTHS if f.is_list else LENGTHS)
        large = (self.outside or f.is_list or f.is_text) and not (by_dict and f.is_text)
        more = {VALIDITY, OVERFLOW} if large else {VALIDITY}
        check(set(need) == set(self.streams) - more, "streams of a page")
    def elements(self, count):  # strings, as bytes, or numbers; by themselves or by a dictionary
        f, streams, s = self.f, self.streams, self.streams[BYTES if self.f.is_text else VALUES]
        if s.encoding == DICT:
            check(s.size == (1 if f.is_text else SIZE[f.number]) and not s.data, "a dictionary")
            d, n = streams[DICT_BYTES if f.is_text else DICT_VALUES], streams.get(DICT_LENGTHS)
            entries = (cut(d.bytes(), n.numbers(UINT32, n.count)) if f.is_text else
                       unpack(d.bytes(s.size), f.number, d.count))
            check(not f.is_text or len(entries) <= count, "entries of a dictionary")
            codes = streams[CODES].numbers(UINT32, count)
            check(all(c < len(entries) for c in codes), "a code past the dictionary")
            values = [entries[c] for c in codes]
        elif f.is_text:
            lengths = streams[ELEM_LENGTHS if f.is_list else LENGTHS]
            values = cut(s.bytes(), lengths.numbers(UINT32, count))
        else:
            values = s.numbers(f.number, count)
        check(s.count == (sum(map(len, values)) if f.is_text else count), "count of values")
        return values
    def rows(self, pieces):  # all rows, None where null. pieces: the raw pieces of the row group
        f, n, valid = self.f, self.page.n_rows, [1] * self.page.n_rows
        if VALIDITY in self.streams:
            check(f.nullable, "nulls in a column that has none")
            valid = self.streams[VALIDITY].bits(n)
        large = self.large_values(pieces, valid)
        present = self.present([large.get(i) for i, v in enumerate(valid) if v])
        check(self.data_len(present) == self.page.data_len, "data_len")
        if STRING in (f.type, f.elem):
            present = [r.decode() if f.type == STRING else [s.decode() for s in r] for r in present]
        following = iter(present)
        return [next(following) if v else None for v in valid]
    def data_len(self, present):
        f, unit = self.f, SIZE[self.f.number] if self.f.number else 1
        if not f.is_list and not f.is_text:
            return self.page.n_rows * f.width * unit
        if f.elem == STRING:
            present = [b"".join([*r, bytes(4 * len(r))]) for r in present]
        return 4 * self.page.n_rows + sum(map(len, present)) * (unit + 4 * (f.type == SPARSE))
    def present(self, large):  # rows that are not null; large: their out-of-line bytes, or None
        f, n, streams = self.f, len(large), self.streams
        if f.type == BOOL:
            return [bool(b) for b in streams[VALUES].bits(n)]
        each = 0 if self.outside else f.width
        lengths = streams[LENGTHS].numbers(UINT32, n) if f.is_list else [each] * n
        here = [0 if d is not None and f.elem == STRING else k for k, d in zip(lengths, large)]
        check(not self.outside or None not in large, "a large tensor that is not out of line")
        values = [] if self.outside else self.elements(sum(here))
        if f.type == SPARSE:
            values = list(zip(streams[INDICES].numbers(UINT32, sum(here)), values))
        rows = cut(values, here) if f.is_list or f.type == TENSOR else values
        for i, d in enumerate(large):
            if d is not None:
                check(not rows[i], "a row with two values")
                rows[i] = self.large(d, lengths[i])
        check(f.type != SPARSE or all(a[0] < b[0] for r in rows for a, b in zip(r, r[1:])), "order")
        return rows
    def large_values(self, pieces, valid):  # bytes of the out-of-line values, by row
        s, out, last = self.streams.get(OVERFLOW, Stream(PLAIN, 24, 0, b"")), {}, -1
        for row, first, n_bytes, n, reserved in struct.iter_unpack("<IIQII", s.bytes(24)):
            known(reserved == 0, "an out-of-line value")
            check(last < row < len(valid) and valid[row] and first + n <= len(pieces), "large rows")
            out[row], last = b"".join(pieces[first:first + n]), row
            check(len(out[row]) == n_bytes, "bytes of an out-of-line value")
        return out
    def large(self, data, n_strings):
        f = self.f
        if f.elem == STRING:
            return cut(data[4 * n_strings:], unpack(data[:4 * n_strings], UINT32, n_strings))
        if f.is_text:
            return data
        n = f.width if self.outside else len(data) // (SIZE[f.number] + 4 * (f.type == SPARSE))
        values = unpack(data[4 * n if f.type == SPARSE else 0:], f.number, n)
        return list(zip(unpack(data[:4 * n], UINT32, n), values)) if f.type == SPARSE else values

# ---- files (chapters 2 and 3)
class Shard:
    def __init__(self, source):
        self.data = data = source if isinstance(source, bytes) else open(source, "rb").read()
        check(len(data) >= 128 and data[-8:] == MAGIC[::-1], "no shard file")
        (major, minor, reserved, stored_len, raw_len, footer_hash, incompat, ro_compat, compat,
         trailer_hash) = struct.unpack_from("<HHIIIQQQQQ", data, len(data) - 64)
        check(hash64(data[-64:-16], len(data) - 64) == trailer_hash, "hash of the trailer")
        known(major == MAJOR and not incompat and not reserved, "version of the format")
        self.footer_off = off = len(data) - 64 - stored_len
        check(off >= 64 and stored_len <= raw_len <= 256 << 20, "length of the footer")
        check(hash64(data[off:-64], off) == footer_hash, "hash of the footer")
        header = struct.pack("<8sHHIQQQ16x", MAGIC, major, minor, 64, incompat, ro_compat, compat)
        check(data[:64] == header + struct.pack("<Q", hash64(header, 0)), "the header")
        self.hash = hash128(data[:64] + data[off:], 0)[::-1]
        self.parse(data[off:-64] if stored_len == raw_len else unzstd(data[off:-64], raw_len))
    def parse(self, footer):
        (n_sections, n_columns, n_groups, n_pages, n_pieces, reserved,
         self.n_rows) = struct.unpack_from("<6IQ", footer)
        at, self.sections = 32 + 8 * n_sections, {}
        for number, flags, length in struct.iter_unpack("<HHI", footer[32:at]):
            known(flags < 2 and (number in range(1, INDEX + 1) or not flags), "a section")
            check(number not in self.sections, "a section that stands twice")
            self.sections[number], at = footer[at:at + length], at + length
        known(reserved == 0, "the footer")
        self.foreign = max(self.sections) > INDEX  # what we do not know may have bytes of its own
        check(at == len(footer) and {SCHEMA, GROUPS, PAGES, CHUNKS} <= set(self.sections), "footer")
        schema = self.sections[SCHEMA]
        entries = list(struct.iter_unpack("<BBBBIII", schema[:16 * n_columns]))
        parts = cut(schema[16 * n_columns:], [e[5] for e in entries] + [e[6] for e in entries])
        check(len(set(parts[:n_columns])) == n_columns and all(e[0] for e in entries), "columns")
        self.fields = list(map(parse_field, entries, parts, parts[n_columns:]))
        self.stats = self.table(STATS, n_groups * n_columns, "QQQI", "16s", "16s")
        self.chunks = iter(self.table(CHUNKS, n_groups * n_columns, "I"))
        self.pieces = iter(self.table(PIECES, n_pieces, "IIIQ"))
        self.pages = iter(self.table(PAGES, n_pages, "IIIQIQ"))
        indices = self.table(INDEX, len(self.sections.get(INDEX, b"")) // 24, "IIIIQ")
        self.lengths = {e[0]: e[1:] for e in indices}
        zdicts = self.sections.get(ZDICTS, bytes(4 * n_columns))
        dicts = cut(zdicts[4 * n_columns:], integers(zdicts[:4 * n_columns], 4, False))
        self.dicts = [zstandard.ZstdCompressionDict(d) if d else None for d in dicts]
        groups, self.end = struct.iter_unpack("<QII", self.sections[GROUPS]), 64
        self.groups = [self.group(g * n_columns, *group) for g, group in enumerate(groups)]
        self.skip(self.footer_off)
        check(len(self.groups) == n_groups and sum(g.n_rows for g in self.groups) == self.n_rows and
              not list(self.pages) + list(self.pieces), "row groups")
    def table(self, section, n, letters, *more):  # the entries of a section, if it is there
        data, at, columns = self.sections.get(section), 0, []
        for letter in [*letters, *more] if data is not None else []:
            size = n * struct.calcsize("<" + letter)
            columns.append([v for v, in struct.iter_unpack("<" + letter, data[at:at + size])])
            at += size
        check(at == len(data or b""), "length of a section")
        return list(zip(*columns))
    def skip(self, to):
        zeros = self.foreign or not any(self.data[self.end:to])
        check(self.end <= to and zeros, "bytes between pages")
        self.end = to
    def next_page(self, stored_len, raw_len, n_rows, data_len, kind, hash_):
        self.skip(self.end if kind & 255 else self.end + -self.end % 64)
        check(stored_len <= min(raw_len, self.footer_off - self.end) and raw_len <= 8 << 20, "page")
        self.end += stored_len
        return Page(self.end - stored_len, stored_len, raw_len, n_rows, data_len, kind, hash_)
    def group(self, chunk, off, n_rows, n_pieces):
        check(off % 64 == 0, "place of a row group")
        self.skip(off)
        pieces = [self.next_page(*p[:2], 0, 0, *p[2:]) for p in islice(self.pieces, n_pieces)]
        sizes = list(islice(self.chunks, len(self.fields)))
        columns = [[self.next_page(*p) for p in islice(self.pages, n)] for n, in sizes]
        check(len(pieces) == n_pieces, "pieces of a row group")
        check(all(sum(p.n_rows for p in c) == n_rows for c in columns), "rows of a chunk")
        places = [(c, self.lengths.get(chunk + c)) for c in range(len(columns))]
        lengths = {c: self.next_page(*p[:2], n_rows, 4 * n_rows, *p[2:]) for c, p in places if p}
        return Group(n_rows, pieces, columns, lengths)
    def raw(self, page, dictionary=None):  # the verified raw bytes of a page, piece or length index
        stored = self.data[page.off:page.off + page.stored_len]
        check(hash64(stored, page.off) == page.hash, "hash at byte %d" % page.off)
        known(page.kind <= 2, "codec of a page")
        check(page.kind != 2 or dictionary, "a zstd dictionary that is not there")
        check(page.kind or page.stored_len == page.raw_len, "length of a page")
        zdict = dictionary if page.kind == 2 else None
        return unzstd(stored, page.raw_len, zdict) if page.kind else stored
    def column(self, c):  # all values of column c
        known(self.fields[c].type, "type of the column " + self.fields[c].name)
        values = []
        for group in self.groups:
            field, zdict = self.fields[c], self.dicts[c]
            pages = [PageReader(self.raw(p, zdict), p, field) for p in group.columns[c]]
            large = any(OVERFLOW in p.streams for p in pages)
            pieces = [self.raw(p) for p in group.pieces] if large else []
            rows = [r for p in pages for r in p.rows(pieces)]
            if c in group.lengths:
                index = PageReader(self.raw(group.lengths[c]), group.lengths[c], LENGTHS_FIELD)
                check(index.rows([]) == [r if r is None else len(r) for r in rows], "length index")
            values += rows
        return values
    def rows(self):
        return zip(*(self.column(c) for c in range(len(self.fields))))

def parse_field(entry, name, params):
    kind, elem, nullable, reserved, flags, _, _ = entry
    known(nullable < 2 and reserved == 0, "flags of a column")
    shape = integers(params, 4, False)
    ok = {TIMESTAMP: elem == 0 and len(params) == 1 and params[0] < 4,
          TENSOR: elem in NUMBERS and len(params) in range(8, 37, 4) and
          shape[0] == len(shape) - 1 and 0 < math.prod(shape[1:]) * SIZE[elem] < 1 << 31,
          SPARSE: elem in NUMBERS and not params,
          LIST: (elem in NUMBERS or elem == STRING) and not params}.get(
              kind, (kind in NUMBERS or kind in (BOOL, STRING, BINARY)) and not elem and not params)
    number = INT64 if kind == TIMESTAMP else elem or kind
    return Field(name.decode(), kind if ok else None, elem, bool(nullable), flags, params,
                 number if number in NUMBERS else None,
                 math.prod(shape[1:]) if kind == TENSOR else 1,
                 STRING in (kind, elem) or kind == BINARY, kind in (LIST, SPARSE))

# ---- datasets (chapters 11 to 17)
ROOT = "kind:16:0 name:16:0 number:9:0 bytes:9:0 hash:17:0 text:16:0"
SEGMENT = ("path:16:0 split:16:0 rows:9:0 file_bytes:9:0 raw_bytes:9:0 footer_bytes:8:0 hash:17:0 "
           "group_rows:24:8 stats:17:0")

def table(path, columns):  # A restricted file: its rows as tuples of that name, and the shard
    shard = Shard(path)
    fields = shard.fields[:columns.count(" ") + 1]  # any more are of a newer version
    check(" ".join("%s:%d:%d" % f[:3] for f in fields) == columns and not shard.stats and
          len(shard.groups) == 1 and not any(f.nullable or f.flags for f in fields), path)
    entry = namedtuple("Entry", re.findall("([a-z_]+):", columns))
    return [entry(*row) for row in zip(*map(shard.column, range(len(fields))))], shard

class Dataset:
    def __init__(self, path):
        self.path, self.entries = path, []
        names = [n for n in os.listdir(path + "/roots") if re.fullmatch(r"[0-9]{20}\.root", n)]
        number = max(int(n[:20]) for n in names)
        self.facts, root = table("%s/roots/%020d.root" % (path, number), ROOT)
        self.snapshot, facts = root.hash[::-1].hex(), self.facts
        known(facts[0][:3] == ("format", "shardline", MAJOR) and
              not any(f.kind[:1] == "!" for f in facts), "a fact that is needed")
        check(([f.number for f in facts if f.kind == "parent"] or [0]) == [number - 1], "parent")
        self.splits = {f.name: f.number for f in facts if f.kind == "split"}
        found = dict.fromkeys(self.splits, 0)
        for fact in (f for f in facts if f.kind == "segment"):
            entries, segment = table(os.path.join(path, fact.name), SEGMENT)
            name, n = "segments/%s.seg" % segment.hash[::-1].hex(), sum(e.rows for e in entries)
            check(fact[1:5] == (name, n, len(segment.data), segment.hash), fact.name)
            for e in entries:
                check(re.fullmatch(r"shards/[\w-][\w.-]*", e.path, re.ASCII), "path of a shard")
                found[e.split] += e.rows
            self.entries += entries
        check(found == self.splits, "rows of splits")
    def shards(self):  # every shard with its entry; one at a time
        columns = [(f.name, f.text[-1:] == "?", f.number) for f in self.facts if f.kind == "column"]
        for e in self.entries:
            s = Shard(os.path.join(self.path, e.path))
            groups, footer_bytes = [g.n_rows for g in s.groups], len(s.data) - s.footer_off
            check((s.hash, len(s.data), footer_bytes, s.n_rows, groups) == (
                e.hash, e.file_bytes, e.footer_bytes, e.rows, e.group_rows), "entry of " + e.path)
            check([(f.name, f.nullable, f.flags) for f in s.fields] == columns, "columns")
            yield e, s

if __name__ == "__main__":
    for arg in sys.argv[1:]:
        if os.path.isdir(arg):
            ds = Dataset(arg)
            print(ds.snapshot, sum(len(list(s.rows())) for _, s in ds.shards()),
                  *("%s=%d" % split for split in ds.splits.items()))
        else:
            for row in Shard(arg).rows():
                print(json.dumps(row, default=lambda b: b.hex()))
