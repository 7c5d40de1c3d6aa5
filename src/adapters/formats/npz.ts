import { badForeign } from './foreign.ts';
import { readNpy } from './npy.ts';
import type { TypedTensor } from './typedTensors.ts';
import { openZip, type ZipLimits } from './zip.ts';

/** An open .npz file: a zip of arrays. */
export interface Npz {
  /** Names of the arrays, without `.npy`. */
  readonly names: readonly string[];
  /** One array as float32, row-major; `type` is what the file holds. Throws BAD_DICTIONARY when there is none or it is damaged. */
  array(name: string): Promise<TypedTensor>;
  close(): Promise<void>;
}

/** Opens a .npz file under the limits of `openZip`. Only the arrays asked for are read. */
export async function openNpz(path: string, limits: ZipLimits = {}): Promise<Npz> {
  const zip = await openZip(path, limits);
  const other = zip.names.find((name) => !name.endsWith('.npy'));
  if (other !== undefined) {
    await zip.close();
    throw badForeign(path, `holds ${other}, expected arrays only, as numpy.savez writes; the file is damaged or of another format`);
  }
  return {
    names: zip.names.map((name) => name.slice(0, -'.npy'.length)),
    array: async (name) => readNpy(await zip.read(`${name}.npy`), path, name),
    close: async () => await zip.close(),
  };
}
