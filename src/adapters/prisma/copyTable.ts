import { finished } from 'node:stream/promises';
import { setImmediate as turn } from 'node:timers/promises';
import type { PoolClient } from 'pg';
import { from as copyFrom } from 'pg-copy-streams';

/** Bytes gathered before they are sent; the memory a load uses does not grow with its size. */
const FLUSH_BYTES = 1 << 20;
/** Bytes encoded while the event loop stands still: less than the socket holds, so that the server is not left waiting. */
const TURN_BYTES = 1 << 17;
const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1');
const TRAILER_BYTES = 2;
const BYTEA_OID = 17;

/**
 * One transaction's connection as COPY commands use it: one at a time, while the next one's rows are being encoded.
 */
export class CopyLane {
  readonly #client: PoolClient;
  #running: Promise<unknown> = Promise.resolve();
  #unturned = 0;

  constructor(client: PoolClient) {
    this.#client = client;
  }

  /** Resolves when the server has taken everything sent; rejects with what it said otherwise. */
  async idle(): Promise<void> {
    await this.#running;
  }

  /**
   * To be called as rows are encoded: now and then lets the event loop turn. Rows that are at hand never do so by themselves, and what
   * was given to the connection would lie there until the next buffer is full.
   */
  async encoded(bytes: number): Promise<void> {
    this.#unturned += bytes;
    if (this.#unturned < TURN_BYTES) return;
    this.#unturned = 0;
    await turn();
  }

  /** Starts one command; only when idle. */
  start(sql: string, bytes: Buffer): void {
    const stream = this.#client.query(copyFrom(sql));
    stream.end(bytes);
    this.#running = finished(stream);
    // Reported by the next idle(), which always comes: this only says that somebody will look.
    this.#running.catch(() => undefined);
  }
}

/**
 * Rows for one table in PostgreSQL's binary COPY format (manual, "COPY", binary format). Call `row`, then one method per
 * column in order; `flushIfFull` between rows, and `flush` and the lane's `idle` at the end. Each flush is one COPY
 * command, so several tables can be filled in turn over the one connection of a transaction.
 */
export class CopyTable {
  rows = 0;
  readonly #lane: CopyLane;
  readonly #sql: string;
  readonly #columns: number;
  #bytes = Buffer.allocUnsafe(FLUSH_BYTES + (1 << 16));
  /** What is being sent, or was: filled again after that. */
  #sent = Buffer.allocUnsafe(FLUSH_BYTES + (1 << 16));
  #at = 0;
  /** Of what is gathered, as much as the lane was told of. */
  #told = 0;

  constructor(lane: CopyLane, table: string, columns: readonly string[]) {
    this.#lane = lane;
    this.#columns = columns.length;
    this.#sql = `COPY "${table}" (${columns.map((column) => `"${column}"`).join(', ')}) FROM STDIN (FORMAT binary)`;
  }

  row(): void {
    if (this.#at === 0) this.#at = SIGNATURE.copy(this.#bytes, 0);
    this.#reserve(2);
    this.#at = this.#bytes.writeInt16BE(this.#columns, this.#at);
    this.rows++;
  }

  int2(value: number): void {
    this.#length(2);
    this.#at = this.#bytes.writeInt16BE(value, this.#at);
  }

  int4(value: number): void {
    this.#length(4);
    this.#at = this.#bytes.writeInt32BE(value, this.#at);
  }

  float8(value: number | null): void {
    if (value === null) return this.#null();
    this.#length(8);
    this.#at = this.#bytes.writeDoubleBE(value, this.#at);
  }

  bool(value: boolean): void {
    this.#length(1);
    this.#at = this.#bytes.writeUInt8(value ? 1 : 0, this.#at);
  }

  /** Also for json columns. U+0000, which PostgreSQL text cannot hold, becomes its picture, U+2400. */
  text(value: string | null): void {
    if (value === null) return this.#null();
    const text = storable(value);
    this.#reserve(4 + 3 * text.length);
    const length = this.#bytes.write(text, this.#at + 4, 'utf8');
    this.#bytes.writeInt32BE(length, this.#at);
    this.#at += 4 + length;
  }

  bytes(value: Buffer): void {
    this.#length(value.length);
    this.#at += value.copy(this.#bytes, this.#at);
  }

  /** A one-dimensional array of bytea, none of them null. */
  byteArrays(values: readonly Buffer[]): void {
    const dimensions = values.length === 0 ? [] : [values.length, 1];
    this.#length(12 + 4 * dimensions.length + values.reduce((sum, value) => sum + 4 + value.length, 0));
    for (const number of [dimensions.length / 2, 0, BYTEA_OID, ...dimensions]) this.#at = this.#bytes.writeInt32BE(number, this.#at);
    for (const value of values) this.bytes(value);
  }

  async flushIfFull(): Promise<void> {
    const bytes = this.#at - this.#told;
    this.#told = this.#at;
    await this.#lane.encoded(bytes);
    if (this.#at >= FLUSH_BYTES) await this.flush();
  }

  /** Starts sending what is gathered, once what was sent before has been taken. */
  async flush(): Promise<void> {
    if (this.#at === 0) return;
    this.#reserve(TRAILER_BYTES);
    const end = this.#bytes.writeInt16BE(-1, this.#at);
    await this.#lane.idle();
    this.#lane.start(this.#sql, this.#bytes.subarray(0, end));
    [this.#bytes, this.#sent] = [this.#sent, this.#bytes];
    this.#at = 0;
    this.#told = 0;
  }

  #null(): void {
    this.#reserve(4);
    this.#at = this.#bytes.writeInt32BE(-1, this.#at);
  }

  #length(bytes: number): void {
    this.#reserve(4 + bytes);
    this.#at = this.#bytes.writeInt32BE(bytes, this.#at);
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(2 * (this.#at + bytes));
    this.#bytes.copy(larger, 0, 0, this.#at);
    this.#bytes = larger;
  }
}

/** Text as PostgreSQL can hold it: U+0000 becomes U+2400. */
export function storable(text: string): string {
  return text.includes('\0') ? text.replaceAll('\0', '␀') : text;
}
