#!/usr/bin/python3
"""The sample order, written from docs/order.md alone; prints tests/data/order_v1.txt.

Needs plain Python, and python3-xxhash for the lines that begin with "hash"."""
import math
import struct
import sys

M = (1 << 64) - 1
GAMMA = 0x9E3779B97F4A7C15


def mix(z):
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & M
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & M
    return z ^ (z >> 31)


def key(*words):
    h = 0x5348415244303031
    for w in words:
        h = mix((h ^ w) + GAMMA & M)
    return h


def draw(k, c):
    return mix(k + (c + 1) * GAMMA & M)


def shuffle(k, n):
    a, c = list(range(n)), 0
    for i in range(n, 1, -1):
        while True:
            m = draw(k, c) * i
            c += 1
            if m & M >= (1 << 64) % i:
                break
        j = m >> 64
        a[i - 1], a[j] = a[j], a[i - 1]
    return a


def bijection(k, n, x):
    a = math.isqrt(n - 1) + 1
    b = -(-n // a)
    rounds = 24 if n < 256 else 6
    keys = [draw(k, r) for r in range(rounds)]
    while True:
        left, right = divmod(x, b)
        for r in range(0, rounds, 2):
            left = (left + ((mix(keys[r] + right & M) >> 32) * a >> 32)) % a
            right = (right + ((mix(keys[r + 1] + left & M) >> 32) * b >> 32)) % b
        x = left * b + right
        if x < n:
            return x


def epoch_order(rows, seed, epoch, k, parts, batch, how, drop_last):
    """Yield for every step the list of (slot, group, row)."""
    live = [g for g in range(len(rows)) if rows[g]]
    n, q = sum(rows), batch // parts
    whole = how == "full" or (how == "window" and len(live) <= parts * (k + 1))
    order = list(range(len(live)))
    if how == "window" and not whole:
        order = shuffle(key(seed, epoch, 1, 0, 0), len(live))
    virtual, place = [], []
    for i, g in enumerate(order):
        virtual += [(live[g], r) for r in range(rows[live[g]])]
        place += [i] * rows[live[g]]

    def serve(p, v):
        if how == "none":
            return virtual[v]
        if whole:
            return virtual[bijection(key(seed, epoch, 3, 0, 0), n, v)]
        j = place[v] // k
        mine = [u for u in range(p * n // parts, (p + 1) * n // parts) if place[u] // k == j]
        lo, size = mine[0], len(mine)
        return virtual[lo + bijection(key(seed, epoch, 2, p, j), size, v - lo)]

    sizes = [(p + 1) * n // parts - p * n // parts for p in range(parts)]
    steps = min(sizes) // q if drop_last else -(-max(sizes) // q)
    for s in range(steps):
        yield [(p * q + t % q,) + serve(p, p * n // parts + t)
               for p in range(parts) for t in range(s * q, min((s + 1) * q, sizes[p]))]


def main():
    print("# Golden vectors of the sample order, version 1; made by tests/order_reference.py")
    for z in (0, 1, 2, 0xDEADBEEF, M):
        print("mix %016x %016x" % (z, mix(z)))
    for w in ((0, 0, 1, 0, 0), (7, 0, 1, 0, 0), (7, 1, 1, 0, 0), (7, 1, 2, 3, 5), (M, 9, 3, 0, 0)):
        print("key %016x %d %d %d %d %016x" % (w + (key(*w),)))
    for n in (0, 1, 2, 3, 10, 100):
        k = key(n, 0, 1, 0, 0)
        print("shuffle %016x %d :" % (k, n), *shuffle(k, n))
    for n in (1, 2, 3, 4, 5, 6, 7, 12, 13, 16, 17, 100, 255, 256):
        k = key(n, 1, 2, 0, 0)
        print("bijection %016x %d 0 :" % (k, n), *[bijection(k, n, x) for x in range(n)])
    for n in (1000, 65536, 1000003, (1 << 32) - 5, (1 << 40) + 1, (1 << 48) - 1, 1 << 48):
        k, x0 = key(n, 2, 2, 0, 0), n // 3
        print("bijection %016x %d %d :" % (k, n, x0), *[bijection(k, n, (x0 + i) % n)
                                                        for i in range(10)])
    try:
        import xxhash
        for w in ((0, 0, 0, 0), (1, 2, 3, 4), (3, 1 << 40, 255, (1 << 48) - 1)):
            print("hash %d %d %d %d : %016x" % (w + (xxhash.xxh3_64_intdigest(
                struct.pack("<4Q", *w)),)))
    except ImportError:
        sys.exit("python3-xxhash is missing; the hash lines cannot be made")
    plans = (
        # rows, seed, epoch, k, P, B, shuffle, drop_last
        ([5, 3, 4, 6, 2, 7, 5, 4, 3], 1, 0, 2, 2, 4, "window", 0),
        ([5, 3, 4, 6, 2, 7, 5, 4, 3], 1, 1, 2, 2, 4, "window", 0),
        ([5, 3, 4, 6, 2, 7, 5, 4, 3], 1, 0, 2, 2, 4, "window", 1),
        ([5, 3, 4, 6, 2, 7, 5, 4, 3], 1, 0, 2, 2, 4, "none", 0),
        ([5, 3, 4, 6, 2, 7, 5, 4, 3], 1, 0, 2, 2, 4, "full", 0),
        ([9, 0, 8, 1, 1, 1, 30, 2, 0, 4], 99, 3, 1, 3, 9, "window", 0),
        ([11, 10, 9], 5, 0, 2, 4, 8, "window", 0),
        ([2], 5, 0, 2, 4, 8, "window", 0),
        ([2], 5, 0, 2, 4, 8, "window", 1),
        ([1] * 20, 6, 0, 3, 2, 6, "window", 0),
        ([13] * 7, M, 2, 5, 1, 16, "window", 0),
        ([], 5, 0, 2, 4, 8, "window", 0),
    )
    for rows, seed, epoch, k, parts, batch, how, drop in plans:
        print("plan %d %d %d %d %d %s %d :" % (seed, epoch, k, parts, batch, how, drop), *rows)
        for s, served in enumerate(epoch_order(rows, seed, epoch, k, parts, batch, how, drop)):
            print("step %d :" % s, *["%d/%d/%d" % t for t in served])


main()
