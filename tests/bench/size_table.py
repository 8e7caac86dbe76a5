"""The table of size.sh: head; row TMP NAME KIND OURS ZSTD [--columns]; end TMP."""
import json
import sys

FORM = "%-16s %-7s %11s %11s %11s %9s %11s"


def head():
    print(FORM % ("set", "kind", "raw", "ours", "parquet", "ours/pq", "zstd -3"))


def row(tmp, name, kind, ours, zstd, *columns):
    info = json.load(open(tmp + "/info.json"))
    raw = json.load(open(tmp + "/ingest.json"))["bytes_in"]
    parquet = json.load(open(tmp + "/parquet.json"))
    ours = int(ours)
    pages = sum(c["bytes"] for c in info["columns"])
    print(FORM % (name, kind, raw, ours, parquet["bytes"], "%.3f" % (ours / parquet["bytes"]),
                  zstd), flush=True)
    with open(tmp + "/rows", "a") as f:
        f.write("%s %s %d %d %d\n" % (name, kind, ours, parquet["bytes"], ours - pages))
    if not columns:
        return
    more = sorted(((c["bytes"] - parquet["columns"][c["name"]], i)
                   for i, c in enumerate(info["columns"])), reverse=True)
    for n, i in more[:15]:
        c = info["columns"][i]
        if n > 0:
            print("    %-34.34s %-16s %9d parquet %9d %+8d  %s" % (
                c["name"], c["type"], c["bytes"], c["bytes"] - n, n, ",".join(c["encodings"])))
    print("    pages of columns %d, parquet %d; all else %d, parquet %d" % (
        pages, sum(parquet["columns"].values()), ours - pages,
        parquet["bytes"] - sum(parquet["columns"].values())), flush=True)


def end(tmp):
    sets = [line.split() for line in open(tmp + "/rows")]
    sets = [(s[0], s[1], *map(int, s[2:])) for s in sets]
    ok = True
    big = [s for s in sets if s[1] != "small"]
    if big:
        worst = max(big, key=lambda s: s[2] / s[3])
        lost = [s[0] for s in big if s[2] > s[3]]
        ok = not lost
        print("size: no set larger than Parquet: %s (largest ratio %.3f, %s%s)" % (
            "NOT MET" if lost else "met", worst[2] / worst[3], worst[0],
            "; larger: " + ", ".join(lost) if lost else ""))
    tables = [s for s in sets if s[1] == "table"]
    if tables:
        ratio = sum(s[2] for s in tables) / sum(s[3] for s in tables)
        ok &= ratio <= 0.9
        texts = [s for s in sets if s[1] in ("table", "texts")]
        print("size: tables in sum <= 0.9 of Parquet: %s (%.3f of %d sets; %.4f of %d with those of "
              "long texts)" % (
                  "met" if ratio <= 0.9 else "NOT MET", ratio, len(tables),
                  sum(s[2] for s in texts) / sum(s[3] for s in texts), len(texts)))
    for s in sets:
        if s[1] == "small":
            ok &= s[4] < 4096
            print("size: a file of 60 KB, overhead < 4 KB: %s (%d bytes that are not pages)" % (
                "met" if s[4] < 4096 else "NOT MET", s[4]))
    return 0 if ok else 1


sys.exit(globals()[sys.argv[1]](*sys.argv[2:]))
