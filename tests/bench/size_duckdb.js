// DuckDB's Parquet of the typed columns of a dataset, for size.sh.
//
//     node size_duckdb.js MODULES INFO.json COLUMNS.csv OUT.parquet
//
// COLUMNS.csv is of dump_columns, INFO.json of shardtool info --json. Every column gets the type that
// it has in the dataset. That what was loaded is what the dataset holds is checked: rows, and for text
// the bytes. Prints JSON: bytes of the file and of each column. Tensors of uint8 stand in DuckDB as
// BLOB, which makes smaller files than lists of UTINYINT.
const fs = require('fs');
const [modules, infoFile, csv, out] = process.argv.slice(2);
const { DuckDBInstance } = require(modules + '/@duckdb/node-api');

const scalar = {
  bool: 'BOOLEAN', int8: 'TINYINT', int16: 'SMALLINT', int32: 'INTEGER', int64: 'BIGINT',
  uint8: 'UTINYINT', uint16: 'USMALLINT', uint32: 'UINTEGER', uint64: 'UBIGINT',
  float32: 'FLOAT', float64: 'DOUBLE', string: 'VARCHAR',
};
const timestamp = {
  s: (n) => `CAST(make_timestamp(${n} * 1000000) AS TIMESTAMP_S)`,
  ms: (n) => `CAST(make_timestamp(${n} * 1000) AS TIMESTAMP_MS)`,
  us: (n) => `make_timestamp(${n})`,
  ns: (n) => `make_timestamp_ns(${n})`,
};
const quote = (name) => '"' + name.replaceAll('"', '""') + '"';
const literal = (text) => "'" + text.replaceAll("'", "''") + "'";

// The expression that makes a column of its text c.
function typed(type, c) {
  const list = /^list<(.*)>$/.exec(type), sparse = /^sparse<(.*)>$/.exec(type);
  const tensor = /^tensor<([a-z0-9]*),.*>$/.exec(type), time = /^timestamp\[?(.*?)\]?$/.exec(type);
  if (type === 'string') return c;
  if (type === 'binary' || (tensor && tensor[1] === 'uint8')) return `unhex(${c})`;
  if (time) return timestamp[time[1] || 'us'](`CAST(${c} AS BIGINT)`);
  if (tensor) return `CAST(${c} AS ${scalar[tensor[1]]}[])`;
  if (type === 'list<string>') return `from_json(${c}, '["VARCHAR"]')`;
  if (scalar[type]) return `CAST(${c} AS ${scalar[type]})`;
  if (list) return `CAST(${c} AS ${scalar[list[1]]}[])`;
  if (sparse) return `CAST(${c} AS STRUCT(indices UINTEGER[], "values" ${scalar[sparse[1]]}[]))`;
  throw new Error('no DuckDB type for ' + type);
}

async function main() {
  const info = JSON.parse(fs.readFileSync(infoFile, 'utf8'));
  const db = await DuckDBInstance.create(':memory:', { threads: '2' });
  const con = await db.connect();
  const one = async (sql) => (await con.runAndReadAll(sql)).getRowObjects()[0];
  const columns = '{' + info.columns.map((c) => `${literal(c.name)}: 'VARCHAR'`).join(', ') + '}';
  const select = info.columns.map((c) => `${typed(c.type, quote(c.name))} AS ${quote(c.name)}`);

  await con.run(`CREATE TABLE t AS SELECT ${select.join(', ')} FROM read_csv(${literal(csv)},
    columns = ${columns}, auto_detect = false, header = true, delim = ',', quote = '"',
    escape = '"', nullstr = '', allow_quoted_nulls = false, max_line_size = 200000000,
    strict_mode = true, parallel = false)`);
  const rows = Number((await one('SELECT count(*) AS n FROM t')).n);
  if (rows !== info.rows) throw new Error(`${rows} rows instead of ${info.rows}`);
  for (const c of info.columns.filter((c) => c.type === 'string')) {
    const got = await one(`SELECT coalesce(sum(strlen(${quote(c.name)})), 0) AS n FROM t`);
    if (Number(got.n) + 4 * rows !== c.raw_bytes)
      throw new Error(`${c.name}: ${got.n} bytes of text, not ${c.raw_bytes - 4 * rows}`);
  }
  await con.run(`COPY t TO ${literal(out)} (FORMAT parquet, COMPRESSION zstd)`);

  const parts = (await con.runAndReadAll(`SELECT path_in_schema AS path,
    CAST(sum(total_compressed_size) AS BIGINT) AS n FROM parquet_metadata(${literal(out)})
    GROUP BY path`)).getRowObjects();
  const result = { bytes: fs.statSync(out).size, columns: {} };
  for (const c of info.columns)
    result.columns[c.name] = parts
      .filter((p) => p.path === c.name || p.path.startsWith(c.name + ', '))
      .reduce((n, p) => n + Number(p.n), 0);
  console.log(JSON.stringify(result));
}
main().catch((e) => { console.error('size_duckdb: ' + e.message); process.exit(1); });
