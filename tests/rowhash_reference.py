#!/usr/bin/python3
"""Row hashes computed from docs/format.md alone, for the constants of tests/check_column.c.

Needs python3-xxhash. Run it by hand; its output is what the test holds.
"""
import struct
import xxhash

TYPES = dict(bool=1, int8=2, int16=3, int32=4, int64=5, uint8=6, uint16=7, uint32=8, uint64=9,
             float16=10, bfloat16=11, float32=12, float64=13, string=16, binary=17, timestamp=20,
             tensor=21, list=24, sparse=25)
FLOATS = dict(float16=("e", 0x7E00), bfloat16=(None, 0x7FC0), float32=("f", 0x7FC00000),
              float64=("d", 0x7FF8000000000000))
UNITS = ("s", "ms", "us", "ns")


def number(kind, v):
    if kind in FLOATS:
        letter, nan_bits = FLOATS[kind]
        size = {"6": 2, "2": 4, "4": 8}[kind[-1]]
        if v != v:
            return nan_bits.to_bytes(size, "little")
        v = v + 0.0 if v else 0.0
        return struct.pack("<" + letter, v) if letter else struct.pack("<f", v)[2:]
    size = {"8": 1, "6": 2, "2": 4, "4": 8}[kind[-1]]
    return (v % (1 << (8 * size))).to_bytes(size, "little")


def cell(name, kind, elem, v):
    params = b""
    if kind.startswith("timestamp"):
        kind, params = "timestamp", bytes([UNITS.index(kind[10:-1])])
    elif kind == "tensor":
        elem, *dims = elem
        params = struct.pack("<%dI" % (1 + len(dims)), len(dims), *dims)
    seed = xxhash.xxh3_64_intdigest(name.encode(), TYPES[kind] + 256 * (TYPES[elem] if elem else 0))
    if params:
        seed = xxhash.xxh3_64_intdigest(params, seed)
    if kind == "bool":
        data = bytes([v])
    elif kind == "string":
        data = v.encode()
    elif kind == "binary":
        data = v
    elif kind == "timestamp":
        data = struct.pack("<q", v)
    elif elem == "string":
        data = b"".join(struct.pack("<I", len(x)) for x in v) + b"".join(v)
    elif kind in ("list", "tensor"):
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
    [("h", "float16", None, -0.0), ("b", "bfloat16", None, nan), ("i", "float16", None, nan),
     ("v", "float16", None, 0.5), ("w", "bfloat16", None, -3.0)],
    [("t", "timestamp[ms]", None, -5), ("u", "timestamp[ns]", None, 1 << 60)],
    [("t", "timestamp[s]", None, -5)],
    [("x", "tensor", ("float16", 2, 3), [1.0, -0.0, nan, inf, 0.25, -2.0]),
     ("y", "tensor", ("uint8", 4), [1, 2, 3, 255])],
    [("x", "tensor", ("float16", 3, 2), [1.0, -0.0, nan, inf, 0.25, -2.0])],
    [("l", "list", "string", [b"a", b"", b"bcd"]), ("e", "list", "string", []),
     ("m", "list", "string", [b"%d" % i for i in range(300)])],
    [("l", "list", "string", [b"", b"a", b"bcd"])],
):
    print(row(r))
