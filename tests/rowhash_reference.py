#!/usr/bin/python3
"""Row hashes computed from docs/format.md alone, for the constants of tests/check_column.c.

Needs python3-xxhash. Run it by hand; its output is what the test holds.
"""
import struct
import xxhash

TYPES = dict(bool=1, int8=2, int16=3, int32=4, int64=5, uint8=6, uint16=7, uint32=8, uint64=9,
             float32=12, float64=13, string=16, binary=17, list=24, sparse=25)
NAN32, NAN64 = 0x7FC00000, 0x7FF8000000000000


def number(kind, v):
    if kind in ("float32", "float64"):
        if v != v:
            return struct.pack("<I", NAN32) if kind == "float32" else struct.pack("<Q", NAN64)
        return struct.pack("<f" if kind == "float32" else "<d", v + 0.0 if v else 0.0)
    size = {"8": 1, "6": 2, "2": 4, "4": 8}[kind[-1]]
    return (v % (1 << (8 * size))).to_bytes(size, "little")


def cell(name, kind, elem, v):
    seed = xxhash.xxh3_64_intdigest(name.encode(), TYPES[kind] + 256 * (TYPES[elem] if elem else 0))
    if kind == "bool":
        data = bytes([v])
    elif kind == "string":
        data = v.encode()
    elif kind == "binary":
        data = v
    elif kind == "list":
        data = b"".join(number(elem, x) for x in v)
    elif kind == "sparse":
        data = b"".join(struct.pack("<I", i) for i, _ in v) + b"".join(number(elem, x) for _, x in v)
    else:
        data = number(kind, v)
    h = xxhash.xxh3_128_intdigest(data, seed)
    return struct.pack("<QQ", h & (1 << 64) - 1, h >> 64)


def row(cells):
    data = b"".join(cell(*c) for c in sorted(cells, key=lambda c: c[0].encode()) if c[3] is not None)
    return "%032x" % xxhash.xxh3_128_intdigest(data, 0)


nan, inf = float("nan"), float("inf")
for r in (
    [("text", "string", None, "hello")],
    [("text", "string", None, "hello"), ("label", "int32", None, -7)],
    [("text", "string", None, None), ("label", "int32", None, None)],
    [("b", "bool", None, True), ("f", "float32", None, -0.0), ("d", "float64", None, nan),
     ("u", "uint8", None, 255), ("x", "binary", None, bytes(range(250)) * 4)],
    [("l", "list", "float32", [1.5, -0.0, nan, inf]), ("s", "sparse", "float64", [(3, -0.0), (9, 2.25)]),
     ("t", "list", "int16", [-1, 2, 300])],
    [("big", "list", "float64", [float(i) for i in range(1000)])],
):
    print(row(r))
