import { badForeign, type ForeignReadOptions } from './foreign.ts';
import { asKind, describe } from './pickleValues.ts';
import { openTorch } from './torch.ts';
import type { TypedTensor } from './typedTensors.ts';

/** Tensors of a file written by torch.save(module.state_dict()), by name. */
export class TorchState {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, TypedTensor>;

  constructor(path: string, tensors: ReadonlyMap<string, TypedTensor>) {
    this.path = path;
    this.tensors = tensors;
  }

  /** A matrix or vector of that shape; null in it stands for any size. */
  take(name: string, ...shape: (number | null)[]): Float32Array {
    const tensor = this.tensors.get(name)!;
    const { shape: found } = tensor;
    if (found.length !== shape.length || shape.some((size, axis) => size !== null && size !== found[axis])) {
      throw badForeign(this.path, `${name} has shape [${found.join(', ')}], expected [${shape.map((size) => size ?? 'any').join(', ')}]`);
    }
    if (shape.length > 0 && /^(u?int|bool)/.test(tensor.type)) throw badForeign(this.path, `${name} is ${tensor.type}, expected float32, float16, bfloat16 or float64`);
    return tensor.data;
  }

  /** [rows, cols] of a matrix. */
  sizes(name: string): [number, number] {
    this.take(name, null, null);
    const [rows, cols] = this.tensors.get(name)!.shape;
    return [rows!, cols!];
  }

  /** The number in a tensor without dimensions. */
  scalar(name: string): number {
    return this.take(name)[0]!;
  }

  /** What reading changed of the numbers, one sentence each. */
  notes(): string[] {
    const rounded = [...this.tensors].filter(([, { type }]) => type === 'float64').map(([name]) => name);
    return rounded.length === 0 ? [] : [`float64 rounded to float32: ${rounded.join(', ')}`];
  }
}

/** Reads a state_dict safely, see `openTorch`. Throws BAD_DICTIONARY when the file holds anything else. */
export async function readTorchState(path: string, { maxBytes }: ForeignReadOptions = {}): Promise<TorchState> {
  const file = await openTorch(path, [], maxBytes === undefined ? {} : { maxBytes });
  try {
    const dict = asKind(file.root, 'dict');
    if (dict === undefined) throw badForeign(path, `holds ${describe(file.root)}, expected a state_dict; save it again with torch.save(model.state_dict(), …)`);
    const tensors = new Map<string, TypedTensor>();
    for (const [name, value] of dict.entries) {
      if (typeof name !== 'string' || !file.isTensor(value)) throw badForeign(path, `holds ${describe(value)} by the name ${describe(name)}, expected tensors only, as in a state_dict`);
      tensors.set(name, await file.tensor(value, name));
    }
    return new TorchState(path, tensors);
  } finally {
    await file.close();
  }
}
