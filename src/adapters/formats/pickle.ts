import { badForeign } from './foreign.ts';
import { asKind, describe, type PickleDict, type PickleObject, type PickleValue } from './pickleValues.ts';

/**
 * What a pickle may do with a name it mentions:
 *  - `name`: only mention it (storage types, dtypes);
 *  - `dict`: make an empty dict of it, which is then filled;
 *  - `call`: call it, which gives a PickleObject and runs nothing;
 *  - `class`: make an object of it and give that a state.
 */
export type Allowed = 'name' | 'dict' | 'call' | 'class';

export interface UnpickleLimits {
  /** Opcodes; each makes at most one value, so this bounds time and memory. */
  readonly maxOps?: number;
}

const MAX_OPS = 1_000_000;
const MAX_NAME = 256;
const MARK = Symbol('mark');
const UTF8 = new TextDecoder('utf-8', { ignoreBOM: true });

/**
 * Reads a pickle (protocol 2 to 5, the binary opcodes that Python's pickler emits for data) into inert values: nothing is
 * imported, called or executed. A name outside `allowed`, or used otherwise than it says, is refused with BAD_DICTIONARY, and
 * so is every opcode not listed here, a truncated pickle, and one beyond the limits. Values shared in the pickle are shared in
 * the answer, which may hold cycles: never walk it without a bound.
 *
 * Format: the opcode list of Python's Lib/pickletools.py.
 * @param path what an error calls the file.
 */
export function unpickle(bytes: Uint8Array, allowed: ReadonlyMap<string, Allowed>, path: string, { maxOps = MAX_OPS }: UnpickleLimits = {}): PickleValue {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const stack: (PickleValue | typeof MARK)[] = [];
  const memo = new Map<number, PickleValue>();
  const fail = (what: string): Error => badForeign(path, what);
  let at = 0;

  /** Position of the next `length` bytes, which are then consumed. */
  const take = (length: number): number => {
    if (length > bytes.length - at) throw fail(`its pickle ends early (byte ${bytes.length}); the file is truncated or damaged, fetch it again`);
    at += length;
    return at - length;
  };
  const length8 = (): number => {
    const length = view.getBigUint64(take(8), true);
    if (length > BigInt(bytes.length)) throw fail(`its pickle announces a piece of ${length} bytes and has ${bytes.length}; the file is damaged, fetch it again`);
    return Number(length);
  };
  const raw = (length: number): Uint8Array => {
    const start = take(length);
    return new Uint8Array(bytes.subarray(start, start + length)); // a copy: Buffer's own slice is a view
  };
  const text = (length: number): string => {
    const start = take(length);
    // Python's "surrogatepass" strings do not occur in names and numbers; anything malformed becomes U+FFFD and matches nothing.
    return UTF8.decode(bytes.subarray(start, start + length));
  };
  const line = (): string => {
    const end = bytes.subarray(at, at + MAX_NAME + 1).indexOf(10);
    if (end < 0) throw fail('its pickle holds a name without an end; the file is damaged, fetch it again');
    const found = text(end);
    take(1);
    return found;
  };

  const pop = (): PickleValue => {
    const value = stack.pop();
    if (value === undefined || value === MARK) throw fail('its pickle takes more than it gave; the file is damaged, fetch it again');
    return value;
  };
  const top = (): PickleValue => {
    const value = pop();
    stack.push(value);
    return value;
  };
  const toMark = (): PickleValue[] => {
    const start = stack.lastIndexOf(MARK);
    if (start < 0) throw fail('its pickle closes what it never opened; the file is damaged, fetch it again');
    const items = stack.splice(start) as PickleValue[];
    items.shift();
    return items;
  };
  const tuple = (...items: PickleValue[]): void => void stack.push({ kind: 'tuple', items });
  const listOf = (value: PickleValue): PickleValue[] => {
    const list = asKind(value, 'list');
    if (list === undefined) throw fail(`its pickle appends to ${describe(value)}; the file is damaged, fetch it again`);
    return list.items;
  };
  const put = (target: PickleValue, pairs: readonly PickleValue[]): void => {
    const dict = asKind(target, 'dict');
    if (dict === undefined || pairs.length % 2 !== 0) throw fail(`its pickle sets items of ${describe(target)}; the file is damaged, fetch it again`);
    for (let i = 0; i < pairs.length; i += 2) {
      const key = pairs[i]!;
      if (key !== null && typeof key === 'object') throw fail(`its pickle has a dict with ${describe(key)} as a key; expected strings and numbers`);
      dict.entries.set(key, pairs[i + 1]!);
    }
  };
  const remember = (index: number): void => void memo.set(index, top());
  const recall = (index: number): void => {
    const value = memo.get(index);
    if (value === undefined) throw fail(`its pickle recalls value ${index}, which it never kept; the file is damaged, fetch it again`);
    stack.push(value);
  };

  const name = (module: string, part: string): void => {
    const full = `${module}.${part}`;
    if (!allowed.has(full)) throw refused(full);
    stack.push({ kind: 'name', name: full });
  };
  const refused = (full: string): Error => fail(
    `its pickle asks for ${JSON.stringify(full.slice(0, 2 * MAX_NAME))}, which no dictionary of a known kind needs. Python would run it on loading; here nothing was run. ` +
    'If you trust the file, load it in Python and save the plain tensors (torch.save of a state_dict); else delete it',
  );
  /** The name on the stack that may be used in that way. */
  const usable = (use: string, ...ways: readonly Allowed[]): string => {
    const value = pop();
    const found = asKind(value, 'name');
    if (found === undefined || !ways.includes(allowed.get(found.name)!)) throw fail(`its pickle ${use} ${describe(value)}, which is refused; here nothing was run. If you trust the file, load it in Python and save the plain tensors`);
    return found.name;
  };
  const argumentsOf = (value: PickleValue): readonly PickleValue[] => {
    const args = asKind(value, 'tuple');
    if (args === undefined) throw fail(`its pickle calls something with ${describe(value)}, expected a tuple; the file is damaged, fetch it again`);
    return args.items;
  };
  const build = (): void => {
    const state = pop();
    const target = top();
    const object = asKind(target, 'object');
    if (object !== undefined && (allowed.get(object.name) === 'class' || object.name === 'numpy.dtype') && object.state === null) {
      object.state = state;
      return;
    }
    // A module's state_dict carries the versions of its layers as an attribute; they say nothing about the numbers.
    const attributes = asKind(target, 'dict') === undefined ? undefined : asKind(state, 'dict');
    if (attributes !== undefined && [...attributes.entries.keys()].every((key) => key === '_metadata')) return;
    throw fail(`its pickle gives a state to ${describe(target)}, which is refused; here nothing was run`);
  };

  for (let ops = 0; ; ops++) {
    if (ops >= maxOps) throw fail(`its pickle has more than ${maxOps} steps; no dictionary needs as many`);
    const op = bytes[take(1)]!;
    switch (op) {
      case 0x80: { // PROTO
        const protocol = bytes[take(1)]!;
        if (protocol < 2 || protocol > 5) throw fail(`pickle protocol ${protocol}; expected 2 to 5. Save it again with a present PyTorch`);
        break;
      }
      case 0x95: length8(); break; // FRAME
      case 0x2e: { // STOP
        const value = pop();
        if (stack.length > 0 || at !== bytes.length) throw fail('its pickle has something left over at its end; the file is damaged, fetch it again');
        return value;
      }
      case 0x28: stack.push(MARK); break;
      case 0x30: pop(); break; // POP
      case 0x31: toMark(); break; // POP_MARK
      case 0x4e: stack.push(null); break; // NONE
      case 0x88: stack.push(true); break;
      case 0x89: stack.push(false); break;
      case 0x4a: stack.push(view.getInt32(take(4), true)); break; // BININT
      case 0x4b: stack.push(bytes[take(1)]!); break; // BININT1
      case 0x4d: stack.push(view.getUint16(take(2), true)); break; // BININT2
      case 0x8a: stack.push(signed(raw(bytes[take(1)]!))); break; // LONG1
      case 0x47: stack.push(view.getFloat64(take(8), false)); break; // BINFLOAT
      case 0x58: stack.push(text(view.getUint32(take(4), true))); break; // BINUNICODE
      case 0x8c: stack.push(text(bytes[take(1)]!)); break; // SHORT_BINUNICODE
      case 0x8d: stack.push(text(length8())); break; // BINUNICODE8
      case 0x42: stack.push(raw(view.getUint32(take(4), true))); break; // BINBYTES
      case 0x43: stack.push(raw(bytes[take(1)]!)); break; // SHORT_BINBYTES
      case 0x8e: case 0x96: stack.push(raw(length8())); break; // BINBYTES8, BYTEARRAY8
      case 0x5d: stack.push({ kind: 'list', items: [] }); break; // EMPTY_LIST
      case 0x61: { const item = pop(); listOf(top()).push(item); break; } // APPEND
      case 0x65: { const items = toMark(); const list = listOf(top()); for (const item of items) list.push(item); break; } // APPENDS
      case 0x29: tuple(); break;
      case 0x85: tuple(pop()); break;
      case 0x86: { const b = pop(); tuple(pop(), b); break; }
      case 0x87: { const c = pop(); const b = pop(); tuple(pop(), b, c); break; }
      case 0x74: stack.push({ kind: 'tuple', items: toMark() }); break; // TUPLE
      case 0x7d: stack.push(emptyDict()); break;
      case 0x73: { const value = pop(); const key = pop(); put(top(), [key, value]); break; } // SETITEM
      case 0x75: { const pairs = toMark(); put(top(), pairs); break; } // SETITEMS
      case 0x71: remember(bytes[take(1)]!); break; // BINPUT
      case 0x72: remember(view.getUint32(take(4), true)); break; // LONG_BINPUT
      case 0x94: remember(memo.size); break; // MEMOIZE
      case 0x68: recall(bytes[take(1)]!); break; // BINGET
      case 0x6a: recall(view.getUint32(take(4), true)); break; // LONG_BINGET
      case 0x63: name(line(), line()); break; // GLOBAL
      case 0x93: { // STACK_GLOBAL
        const part = pop();
        const module = pop();
        if (typeof part !== 'string' || typeof module !== 'string') throw fail('its pickle names something by what is no text; the file is damaged, fetch it again');
        name(module, part);
        break;
      }
      case 0x52: { // REDUCE
        const args = argumentsOf(pop());
        const called = usable('calls', 'call', 'dict');
        if (allowed.get(called) === 'dict' && args.length > 0) throw fail(`its pickle makes ${called} of something; expected an empty one that is filled afterwards`);
        stack.push(allowed.get(called) === 'dict' ? emptyDict() : object(called, args));
        break;
      }
      case 0x81: { // NEWOBJ
        const args = argumentsOf(pop());
        stack.push(object(usable('makes an object of', 'class'), args));
        break;
      }
      case 0x62: build(); break;
      case 0x51: stack.push({ kind: 'persistent', id: pop() }); break; // BINPERSID
      default:
        throw fail(`its pickle uses opcode 0x${op.toString(16).padStart(2, '0')} at byte ${at - 1}, which PyTorch does not write for tensors; here nothing was run. If you trust the file, load it in Python and save the plain tensors`);
    }
  }
}

function emptyDict(): PickleDict {
  return { kind: 'dict', entries: new Map() };
}

function object(name: string, args: readonly PickleValue[]): PickleObject {
  return { kind: 'object', name, args, state: null };
}

/** Little-endian two's complement. */
function signed(bytes: Uint8Array): number | bigint {
  let value = 0n;
  for (const byte of bytes.toReversed()) value = (value << 8n) | BigInt(byte);
  value = BigInt.asIntN(8 * bytes.length, value);
  return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
}
