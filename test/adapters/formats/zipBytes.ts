import { crc32, deflateRawSync } from 'node:zlib';

/** One file of an archive that may lie about itself. */
export interface ZipPiece {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly packed?: boolean;
  /** Size the directory announces, where it differs. */
  readonly announced?: number;
  readonly crc?: number;
  readonly flags?: number;
  readonly method?: number;
}

/** A zip archive without alignment, with deflated files where wanted. */
export function zipOf(pieces: readonly ZipPiece[], { entries = pieces.length, zip64 }: { entries?: number; zip64?: { count: bigint; offset: bigint; at?: bigint } } = {}): Buffer {
  const parts: Buffer[] = [];
  const central: Buffer[] = [];
  let at = 0;
  for (const { name, bytes, packed = false, announced = bytes.byteLength, crc = crc32(bytes), flags = 0, method = packed ? 8 : 0 } of pieces) {
    const data = packed ? deflateRawSync(bytes, { level: 9 }) : Buffer.from(bytes);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(flags, 2);
    common.writeUInt16LE(method, 4);
    common.writeUInt32LE(crc, 10);
    common.writeUInt32LE(data.length, 14);
    common.writeUInt32LE(announced, 18);
    common.writeUInt16LE(Buffer.byteLength(name), 22);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(at, 10);
    central.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\x00', 'latin1'), common, tail, Buffer.from(name)]));
    const part = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), common, Buffer.alloc(0), Buffer.from(name), data]);
    parts.push(part);
    at += part.length;
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 0, 'latin1');
  end.writeUInt16LE(entries, 8);
  end.writeUInt16LE(entries, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(at, 16);
  const wide: Buffer[] = [];
  if (zip64 !== undefined) {
    const record = Buffer.alloc(56);
    record.write('PK\x06\x06', 0, 'latin1');
    record.writeBigUInt64LE(44n, 4);
    record.writeBigUInt64LE(zip64.count, 24);
    record.writeBigUInt64LE(zip64.count, 32);
    record.writeBigUInt64LE(zip64.offset, 48);
    const locator = Buffer.alloc(20);
    locator.write('PK\x06\x07', 0, 'latin1');
    locator.writeBigUInt64LE(zip64.at ?? BigInt(at + directory.length), 8);
    wide.push(record, locator);
  }
  return Buffer.concat([...parts, directory, ...wide, end]);
}
