import { open } from 'node:fs/promises';
import { badForeign } from './foreign.ts';
import { unreadable } from './foreignFiles.ts';
import { unpickle, type Allowed } from './pickle.ts';
import { asKind, describe, type PickleObject, type PickleTuple, type PickleValue } from './pickleValues.ts';
import { WIDTHS, elementsOf, gather, type ElementType, type TypedTensor } from './typedTensors.ts';
import { openZip, type Zip, type ZipLimits } from './zip.ts';

/** A file written by torch.save: its pickle as inert values, and the tensors these name. */
export interface TorchFile {
  readonly root: PickleValue;
  /** Whether a value of the pickle is a tensor or parameter. */
  isTensor(value: PickleValue | undefined): boolean;
  /** The tensor; `name` is what an error calls it. Throws BAD_DICTIONARY when it reaches outside its storage. */
  tensor(value: PickleValue | undefined, name: string): Promise<TypedTensor>;
  close(): Promise<void>;
}

/** A pickle names tensors and never holds their numbers: none of a dictionary comes near this. */
const MAX_PICKLE = 64 << 20;
/** All tensors asked for together may be this many times the file: types of 1 byte become 4, and shared storages come twice. */
const MAX_GIVEN = 8;
const GIVEN_SLACK = 16 << 20;
const MAX_RANK = 8;
const TENSOR = 'torch._utils._rebuild_tensor_v2';
const PARAMETER = 'torch._utils._rebuild_parameter';

/** Storage class → its elements. */
const STORAGES: Readonly<Record<string, ElementType>> = {
  'torch.FloatStorage': 'float32',
  'torch.HalfStorage': 'float16',
  'torch.BFloat16Storage': 'bfloat16',
  'torch.DoubleStorage': 'float64',
  'torch.LongStorage': 'int64',
  'torch.IntStorage': 'int32',
  'torch.ShortStorage': 'int16',
  'torch.CharStorage': 'int8',
  'torch.ByteStorage': 'uint8',
  'torch.BoolStorage': 'bool',
};

/** Names that torch.save writes for tensors, sizes, dtypes and the numpy scalars people keep beside them. */
const ALLOWED: ReadonlyMap<string, Allowed> = new Map<string, Allowed>([
  ['collections.OrderedDict', 'dict'],
  [TENSOR, 'call'],
  [PARAMETER, 'call'],
  ['torch.Size', 'call'],
  ['torch.device', 'call'],
  ['numpy.dtype', 'call'],
  ['numpy.core.multiarray.scalar', 'call'],
  ['numpy._core.multiarray.scalar', 'call'],
  ['_codecs.encode', 'call'],
  ...Object.keys(STORAGES).map((name) => [name, 'name'] as const),
  ...['float16', 'bfloat16', 'float32', 'float64', 'int64', 'int32'].map((type) => [`torch.${type}`, 'name'] as const),
]);

/**
 * Opens a .pt file safely: the pickle in it is read by `unpickle`, which executes nothing. Throws BAD_DICTIONARY for what is no
 * zip of torch.save, hostile or damaged.
 *
 * Layout: one folder with data.pkl, data/KEY per storage, and `byteorder` where it was written by PyTorch ≥ 2.1.
 * @param classes names of classes whose instances are read as records (nothing of them is executed either).
 */
export async function openTorch(path: string, classes: readonly string[] = [], limits: ZipLimits = {}): Promise<TorchFile> {
  await refuseLegacy(path);
  const zip = await openZip(path, limits);
  try {
    const folder = folderOf(zip);
    if (zip.sizeOf(`${folder}data.pkl`) > MAX_PICKLE) throw badForeign(path, `its data.pkl has ${zip.sizeOf(`${folder}data.pkl`)} bytes; a pickle that names tensors has at most ${MAX_PICKLE}`);
    const allowed = new Map([...ALLOWED, ...classes.map((name) => [name, 'class'] as const)]);
    const root = unpickle(await zip.read(`${folder}data.pkl`), allowed, path);
    const tensors = new Tensors(zip, folder, await isBigEndian(zip, folder));
    return {
      root,
      isTensor: (value) => tensorObject(value) !== undefined,
      tensor: async (value, name) => await tensors.read(value, name),
      close: async () => await zip.close(),
    };
  } catch (error) {
    await zip.close();
    throw error;
  }
}

/** Reads tensors by their records; storages are read once and shared. */
class Tensors {
  readonly #zip: Zip;
  readonly #folder: string;
  readonly #bigEndian: boolean;
  readonly #storages = new Map<string, { class: string; elements: Float32Array }>();
  #given = 0;
  #fileBytes = 0;

  constructor(zip: Zip, folder: string, bigEndian: boolean) {
    this.#zip = zip;
    this.#folder = folder;
    this.#bigEndian = bigEndian;
    for (const name of zip.names) this.#fileBytes += zip.sizeOf(name);
  }

  async read(value: PickleValue | undefined, name: string): Promise<TypedTensor> {
    const fail = (what: string): Error => badForeign(this.#zip.path, `tensor ${name} ${what}`);
    const found = tensorObject(value);
    if (found === undefined) throw fail(`is ${describe(value)}, expected a tensor`);
    const [persistent, offset, size, stride, , , metadata] = found.args;
    const shape = integers(asKind(size, 'tuple') ?? sizeOf(size));
    const strides = integers(asKind(stride, 'tuple'));
    if (shape === undefined || strides?.length !== shape.length || !isCount(offset) || shape.length > MAX_RANK) throw fail('has no valid offset, size and strides; the file is damaged, fetch it again');
    if (metadata !== undefined && metadata !== null && asKind(metadata, 'dict')?.entries.size !== 0) throw fail('is a conjugate or negative view; save it again with .resolve_neg().clone()');
    const storage = await this.#storage(persistent, fail);
    const elements = shape.reduce((product, dim) => product * dim, 1);
    const last = shape.reduce((sum, dim, axis) => sum + (dim - 1) * strides[axis]!, offset);
    if (elements > 0 && !(last < storage.elements.length)) throw fail(`reaches element ${last} of a storage of ${storage.elements.length}; the file is damaged, fetch it again`);
    if (elements > storage.elements.length) throw fail(`[${shape.join(', ')}] is an expanded view of ${storage.elements.length} numbers; save it again with .contiguous()`);
    this.#given += 4 * elements;
    if (this.#given > MAX_GIVEN * this.#fileBytes + GIVEN_SLACK) throw fail(`: the tensors of the file together are more than ${MAX_GIVEN} times its ${this.#fileBytes} bytes; it looks made to exhaust memory`);
    return { shape, type: STORAGES[storage.class]!, data: gather(storage.elements, offset, shape, strides) };
  }

  async #storage(value: PickleValue | undefined, fail: (what: string) => Error): Promise<{ class: string; elements: Float32Array }> {
    const id = asKind(asKind(value, 'persistent')?.id, 'tuple')?.items ?? [];
    const [kind, storageClass, key, , count] = id;
    const className = asKind(storageClass, 'name')?.name ?? '';
    if (kind !== 'storage' || !Object.hasOwn(STORAGES, className) || typeof key !== 'string' || !isCount(count)) {
      throw fail(`lies in ${id.length === 0 ? describe(value) : `a ${describe(kind)} of ${describe(storageClass)}`}, expected a storage of ${Object.keys(STORAGES).join(', ')}`);
    }
    const known = this.#storages.get(key);
    if (known !== undefined) {
      if (known.class !== className) throw fail(`reads storage ${key} as ${className}, another tensor as ${known.class}; the file is damaged, fetch it again`);
      return known;
    }
    const type = STORAGES[className]!;
    const width = WIDTHS[type];
    const name = `${this.#folder}data/${key}`;
    if (this.#zip.sizeOf(name) !== count * width) throw fail(`lies in storage ${key} of ${this.#zip.sizeOf(name)} bytes, expected ${count} elements of ${width} bytes; the file is damaged, fetch it again`);
    let elements: Float32Array;
    try {
      elements = elementsOf(await this.#zip.read(name), type, this.#bigEndian);
    } catch (error) {
      throw error instanceof RangeError ? fail(error.message) : error;
    }
    const storage = { class: className, elements };
    this.#storages.set(key, storage);
    return storage;
  }
}

/** The record of a tensor; a parameter's is that of the tensor in it. */
function tensorObject(value: PickleValue | undefined): PickleObject | undefined {
  const object = asKind(value, 'object');
  if (object?.name === PARAMETER) {
    const inner = asKind(object.args[0], 'object');
    return inner?.name === TENSOR ? inner : undefined;
  }
  return object?.name === TENSOR ? object : undefined;
}

function sizeOf(value: PickleValue | undefined): PickleTuple | undefined {
  const object = asKind(value, 'object');
  return object?.name === 'torch.Size' ? asKind(object.args[0], 'tuple') : undefined;
}

function integers(tuple: PickleTuple | undefined): number[] | undefined {
  return tuple?.items.every(isCount) ? (tuple.items as number[]) : undefined;
}

function isCount(value: PickleValue | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** Name of the one folder of the archive, with its slash. */
function folderOf(zip: Zip): string {
  const pickles = zip.names.filter((name) => /^[^/]+\/data\.pkl$/.test(name));
  if (pickles.length !== 1) {
    throw badForeign(zip.path, `is a zip archive with ${pickles.length} FOLDER/data.pkl, expected one as torch.save writes; it has ${zip.names.slice(0, 10).join(', ') || 'no files'}`);
  }
  const folder = pickles[0]!.slice(0, -'data.pkl'.length);
  if (zip.names.includes(`${folder}constants.pkl`)) throw badForeign(zip.path, 'is a TorchScript archive, which holds code; expected tensors as torch.save(model.state_dict(), …) writes');
  return folder;
}

async function isBigEndian(zip: Zip, folder: string): Promise<boolean> {
  const name = `${folder}byteorder`;
  if (!zip.names.includes(name)) return false;
  if (zip.sizeOf(name) > 16) throw badForeign(zip.path, 'its byteorder is neither little nor big');
  const order = (await zip.read(name)).toString('latin1');
  if (order !== 'little' && order !== 'big') throw badForeign(zip.path, `its byteorder is ${JSON.stringify(order)}, expected little or big`);
  return order === 'big';
}

/** PyTorch before 1.6 wrote bare pickles or tar files; reading them needs far more of the pickle machine. */
async function refuseLegacy(path: string): Promise<void> {
  const head = Buffer.alloc(300);
  let length: number;
  try {
    const file = await open(path, 'r');
    try {
      ({ bytesRead: length } = await file.read(head, 0, head.length, 0));
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw unreadable(path, cause);
  }
  if (length === 0) throw badForeign(path, 'is empty; fetch it again');
  if (head[0] === 0x80 || head.toString('latin1', 257, 262) === 'ustar') {
    throw badForeign(path, 'is a bare pickle or tar, as PyTorch wrote before 1.6. Load it where you trust it and save it again: torch.save(torch.load(file, weights_only=True), file)');
  }
  if (head.toString('latin1', 0, 40).startsWith('version https://git-lfs')) throw badForeign(path, 'is a Git LFS pointer, not the file itself; fetch it with git lfs pull');
}
