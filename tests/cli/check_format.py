"""docs/format.md suffices: a reader written from it alone gives the rows that shardtool gives."""

import glob
import json
import os
import random
import struct
import subprocess

from util import data, ingest, json_lines, main, need_reader, tool, tree, write

need_reader()
from shardline_reader import BFLOAT16, FLOAT16, FLOAT32, NUMBERS, SPARSE, TENSOR, Shard  # noqa: E402

MAKE = os.path.join(os.environ["top_builddir"], "tests", "make_dataset")


def flat(record, prefix=""):
    out = {}
    for k, v in record.items():
        if isinstance(v, dict):
            out.update(flat(v, prefix + k + "."))
        elif v is not None:
            out[prefix + k] = v
    return out


def compare(ds):
    """All rows without _extra, by both readers."""
    want = json_lines(tool("cat", ds)[0])
    n = 0
    for path in sorted(glob.glob(os.path.join(ds, "shards", "*"))):
        shard = Shard(path)
        for row in shard.rows():
            got = {}
            for field, value in zip(shard.fields, row):
                if field.type == SPARSE and value is not None:
                    value = {"indices": [i for i, _ in value], "values": [v for _, v in value]}
                if value is not None:
                    got[field.name] = value
            if "_extra" not in got:
                assert flat(got) == flat(want[n]), (n, got, want[n])
            n += 1
    assert n == len(want) > 0, (n, len(want))


def test_generated_rows(tmp):
    rng = random.Random(11)
    lines = []
    for i in range(3000):
        lines.append('{"i": %d, "small": %d, "wide": %d, "x": %r, "flag": %s, "s": "%x", "few": "%s"%s}' % (
            i, rng.randrange(9), rng.getrandbits(63) - (1 << 62), rng.random() * 100,
            rng.choice(("true", "false", "null")), rng.getrandbits(80), rng.choice("abc"),
            ', "o": {"k": %d}' % (i // 7) if i % 3 else ""))
    lines.append('{"i": 3000, "s": "%s"}' % ("0123456789" * 250000))  # out of line
    path = write(os.path.join(tmp, "x.jsonl"), "\n".join(lines) + "\n")
    for opts in ((), ("--page-bytes", "4K"), ("--codec", "none")):
        ds = os.path.join(tmp, "ds%d" % len(os.listdir(tmp)))
        ingest(ds, *opts, path)
        compare(ds)


def test_every_encoding(tmp):
    rng = random.Random(13)
    wide, lines = [rng.getrandbits(40) for _ in range(3)], []
    for i in range(5000):
        lines.append('{"run": %d, "sorted": %d, "noise": %d, "few": %d, "x": %.17g, "one": 1}' % (
            rng.getrandbits(50) if i % 1000 == 0 else i // 300 * 1000003, 10**12 + i * 997 + rng.randrange(500),
            rng.getrandbits(21), rng.choice(wide), 1 + rng.random()))
    path = write(os.path.join(tmp, "x.jsonl"), "\n".join(lines) + "\n")
    met = set()
    for opts in ((), ("--codec", "none")):
        ds = os.path.join(tmp, "ds%d" % len(os.listdir(tmp)))
        ingest(ds, *opts, path)
        compare(ds)
        for column in json.loads(tool("info", "--json", ds)[0])["columns"]:
            met.update(column["encodings"])
    assert met == {"plain", "constant", "rle", "dict", "for", "delta", "bss"}, met
    for name in ("plain", "rle", "dict", "for", "delta", "bss"):  # of every column, whether it pays or not
        ds = os.path.join(tmp, name)
        columns = ("run", "sorted", "noise", "few") + (("x",) if name not in ("for", "delta") else ())
        ingest(ds, *(o for c in columns for o in ("--encoding", "%s=%s" % (c, name))), path)
        compare(ds)


def test_pages_with_a_dictionary(tmp):
    """Random words of a fixed list, which small pages do not hold twice: codec 2."""
    rng = random.Random(13)
    words = ["%x" % rng.getrandbits(40) for _ in range(2000)]
    path = write(os.path.join(tmp, "w.txt"), "".join(
        " ".join(rng.choice(words) for _ in range(12)) + "\n" for _ in range(30000)))
    stored, trees = {}, []
    for page in ("4K", "4M"):
        for jobs in ("1", "5") if page == "4K" else ("2",):
            ds = os.path.join(tmp, "w%s%s" % (page, jobs))
            stored[page] = ingest(ds, "--page-bytes", page, "-j", jobs, "--row-group-bytes", "500K",
                                  "--split", "a=1,b=1", path)["bytes_out"]
            trees.append(tree(ds))
            shard = Shard(sorted(glob.glob(os.path.join(ds, "shards", "*")))[0])
            assert (shard.dicts[0] is not None) == (page == "4K")
            compare(ds)
            rows = tool("cat", ds)[0].splitlines()
            picks = [rng.randrange(30000) for _ in range(50)]
            assert tool("get", ds, *picks)[0].splitlines() == [rows[i] for i in picks]
            tool("verify", ds)
    assert trees[0] == trees[1]


def leaves(value):
    return [x for v in value for x in leaves(v)] if isinstance(value, list) else [value]


def rounded(value, number):
    """Floats to that type, for shardtool prints the fewest digits that give it again."""
    if isinstance(value, list):
        return [rounded(v, number) for v in value]
    if not isinstance(value, float):
        return value
    if number != BFLOAT16:
        return struct.pack("<" + NUMBERS[number], value)
    bits, = struct.unpack("<I", struct.pack("<f", value))
    return (bits + 0x7FFF + (bits >> 16 & 1)) >> 16


def test_length_indices_are_those_of_their_column(tmp):
    """What is asked for the last column says nothing about the index of another one."""
    rng = random.Random(5)
    records = [{"tokens": [rng.getrandbits(30) for _ in range(i % 97)], "z": i * i} for i in range(3000)]
    path = write(os.path.join(tmp, "x.jsonl"), "\n".join(map(json.dumps, records)))
    sizes = []
    for k, options in enumerate(((), ("--codec", "z=none", "--encoding", "z=bss"))):
        ds = os.path.join(tmp, "ds%d" % k)
        ingest(ds, "--schema", "tokens:list<int32>,z:int64", *options, path)
        [shard] = [Shard(p) for p in glob.glob(os.path.join(ds, "shards", "*"))]
        sizes.append([(p.kind, p.raw_len, p.stored_len) for g in shard.groups for p in g.lengths.values()])
        assert [list(r) for r in shard.rows()] == [[r["tokens"], r["z"]] for r in records]
    assert sizes[0] and sizes[0] == sizes[1], sizes


def test_types_with_parameters(tmp):
    columns = ("row:uint64,h:float16?,b:bfloat16,t3:tensor<float32,2,3>?,t1:tensor<uint8,7>,"
               "tb:tensor<bfloat16,2>?,ls:list<string>?,lt:list<string>,lh:list<float16>,"
               "big:tensor<uint8,3,400000>?")
    for n, (level, page_bytes) in enumerate(((0, 0), (3, 0), (3, 4096))):
        ds = os.path.join(tmp, "new%d" % n)
        subprocess.run([MAKE, ds, columns if n < 2 else columns[:columns.rindex(",big")],
                        "5" if n < 2 else "700", str(level), str(page_bytes)], check=True)
        want = iter(json_lines(tool("cat", ds)[0]))
        for path in sorted(glob.glob(os.path.join(ds, "shards", "*")),
                           key=lambda p: next(Shard(p).rows())[0]):
            shard = Shard(path)
            for row in shard.rows():
                w = next(want)
                for field, value in zip(shard.fields, row):
                    expect = w.get(field.name)
                    if field.type == TENSOR and expect is not None:
                        expect = leaves(expect)
                    if field.number in (FLOAT16, BFLOAT16, FLOAT32):
                        value, expect = rounded(value, field.number), rounded(expect, field.number)
                    assert value == expect, (row[0], field.name, value, expect)
        assert next(want, None) is None


def test_sparse(tmp):
    rng = random.Random(12)
    lines = ["%d %s" % (rng.choice((-1, 1)), " ".join("%d:%g" % (k, rng.randrange(1, 99) / 4)
             for k in sorted(rng.sample(range(1, 300), rng.randrange(0, 20))))) for _ in range(2000)]
    path = write(os.path.join(tmp, "x.libsvm"), "\n".join(lines) + "\n")
    ds = os.path.join(tmp, "ds")
    ingest(ds, path)
    compare(ds)


def test_titanic(tmp):
    ds = os.path.join(tmp, "ds")
    ingest(ds, data("titanic", "titanic.csv"))
    compare(ds)


main(globals())
