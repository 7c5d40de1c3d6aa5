import { crc32 } from 'node:zlib';
import { CallerError } from '../../domain/errors.ts';

/** Where zip without its 64-bit extension ends. */
const MAX_BYTES = 0xffff_ffff;
const ALIGNMENT = 64;
/** 1980-01-01, the first date a zip can say: equal input gives equal bytes. */
const DATE = 0x21;

/**
 * A zip archive of stored (not packed) files, piece by piece, each file's bytes beginning at a multiple of 64 so that they can
 * be mapped. Throws UNSUPPORTED beyond 4 GiB.
 *
 * Format: PKWARE APPNOTE.TXT 4.3.
 */
export function storedZip(files: ReadonlyMap<string, Uint8Array>): Uint8Array[] {
  const parts: Uint8Array[] = [];
  const central: Uint8Array[] = [];
  let at = 0;
  const add = (part: Uint8Array): void => {
    parts.push(part);
    at += part.byteLength;
    if (at > MAX_BYTES) throw tooLarge();
  };
  for (const [name, bytes] of files) {
    const encoded = Buffer.from(name);
    if (bytes.byteLength > MAX_BYTES) throw tooLarge();
    const start = at;
    // An extra field of an id nobody uses pads to the alignment; 4 bytes are its own head.
    const padding = (ALIGNMENT - ((at + 30 + encoded.length + 4) % ALIGNMENT)) % ALIGNMENT;
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0); // version needed
    common.writeUInt16LE(0x800, 2); // names are UTF-8
    common.writeUInt16LE(DATE, 8);
    common.writeUInt32LE(checksum(bytes), 10);
    common.writeUInt32LE(bytes.byteLength, 14);
    common.writeUInt32LE(bytes.byteLength, 18);
    common.writeUInt16LE(encoded.length, 22);
    const extra = Buffer.alloc(4 + padding);
    extra.write('FB', 0, 'latin1');
    extra.writeUInt16LE(padding, 2);
    const local = Buffer.from(common);
    local.writeUInt16LE(extra.length, 24);
    add(Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), local, encoded, extra]));
    add(bytes);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(start, 10);
    central.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\x00', 'latin1'), common, tail, encoded]));
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 0, 'latin1');
  end.writeUInt16LE(files.size, 8);
  end.writeUInt16LE(files.size, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(at, 16);
  add(directory);
  add(end);
  return parts;
}

/** By pieces: one call takes at most 2 GiB. */
function checksum(bytes: Uint8Array): number {
  const CHUNK = 1 << 30;
  let sum = 0;
  for (let at = 0; at < bytes.byteLength; at += CHUNK) sum = crc32(bytes.subarray(at, at + CHUNK), sum);
  return sum;
}

function tooLarge(): CallerError {
  return new CallerError('UNSUPPORTED', 'more than 4 GiB: a .pt file of this size cannot be written; export as safetensors (saelens or sparsify)');
}
