/** What a pickle holds after `unpickle`: plain data. Classes and functions are names; what they were called with is a record. */
export type PickleValue = null | boolean | number | bigint | string | Uint8Array | PickleList | PickleTuple | PickleDict | PickleName | PickleObject | PicklePersistent;

export interface PickleList {
  readonly kind: 'list';
  readonly items: PickleValue[];
}

export interface PickleTuple {
  readonly kind: 'tuple';
  readonly items: readonly PickleValue[];
}

/** A dict or collections.OrderedDict; its keys are null, booleans, numbers or strings. */
export interface PickleDict {
  readonly kind: 'dict';
  readonly entries: Map<PickleValue, PickleValue>;
}

/** A class or function, by its name alone. */
export interface PickleName {
  readonly kind: 'name';
  /** Module and name, e.g. `torch.FloatStorage`. */
  readonly name: string;
}

/** What calling `name` with `args` would have made; `state` is what would then have been put into it. */
export interface PickleObject {
  readonly kind: 'object';
  readonly name: string;
  readonly args: readonly PickleValue[];
  state: PickleValue;
}

/** Something kept beside the pickle, by its id. */
export interface PicklePersistent {
  readonly kind: 'persistent';
  readonly id: PickleValue;
}

/** What a value is, in a few words for an error message; never walks into it. */
export function describe(value: PickleValue | undefined): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'None';
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (typeof value === 'string') return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);
  if (typeof value !== 'object') return String(value);
  switch (value.kind) {
    case 'list':
    case 'tuple':
      return `a ${value.kind} of ${value.items.length}`;
    case 'dict':
      return `a dict of ${value.entries.size}`;
    case 'name':
      return value.name;
    case 'object':
      return `an object of ${value.name}`;
    case 'persistent':
      return 'a reference to something beside the pickle';
  }
}

/** The value where it is of that kind, else undefined. */
export function asKind<K extends 'list' | 'tuple' | 'dict' | 'name' | 'object' | 'persistent'>(value: PickleValue | undefined, kind: K): Extract<PickleValue, { kind: K }> | undefined {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array || value.kind !== kind) return undefined;
  return value as Extract<PickleValue, { kind: K }>;
}

/** A plain or numpy number (float64, float32, int64, int32), else undefined. */
export function numberOf(value: PickleValue | undefined): number | undefined {
  if (typeof value === 'number') return value;
  const scalar = asKind(value, 'object');
  if (scalar === undefined || !/^numpy\._?core\.multiarray\.scalar$/.test(scalar.name)) return undefined;
  const dtype = asKind(scalar.args[0], 'object');
  const bytes = bytesOf(scalar.args[1]);
  const order = asKind(dtype?.state, 'tuple')?.items[1];
  if (bytes === undefined || order !== '<') return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (`${String(dtype?.args[0])} ${bytes.length}`) {
    case 'f8 8':
      return view.getFloat64(0, true);
    case 'f4 4':
      return view.getFloat32(0, true);
    case 'i8 8':
      return Number(view.getBigInt64(0, true));
    case 'i4 4':
      return view.getInt32(0, true);
    default:
      return undefined;
  }
}

/** Bytes, which protocol 2 writes as text to be encoded. */
function bytesOf(value: PickleValue | undefined): Uint8Array | undefined {
  if (value instanceof Uint8Array) return value;
  const encoded = asKind(value, 'object');
  const [text, code] = encoded?.args ?? [];
  return encoded?.name === '_codecs.encode' && typeof text === 'string' && code === 'latin1' ? Uint8Array.from(Buffer.from(text, 'latin1')) : undefined;
}
