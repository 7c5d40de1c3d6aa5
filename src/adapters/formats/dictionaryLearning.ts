import { join } from 'node:path';
import type { HookPoint } from '../../domain/hookPoint.ts';
import { DICT_CLASSES } from './dictionaryLearningClasses.ts';
import { writeDictionaryLearning } from './dictionaryLearningWrite.ts';
import { badForeign, checkedForeign, type ForeignDictionary, type ForeignFormat } from './foreign.ts';
import { fromModulePath, known } from './hookNames.ts';
import { readJsonObject, type JsonObject } from './jsonObject.ts';
import { readTorchState, type TorchState } from './torchState.ts';

const CONFIG = 'config.json';
const WEIGHTS = 'ae.pt';

/** Buffers that files from before they existed lack. */
const LATER_KEYS: ReadonlySet<string> = new Set(['k', 'threshold']);

/**
 * A folder of dictionary_learning (saprmarks/dictionary_learning): ae.pt, a state_dict read without executing anything, and
 * config.json. Saved biases are in the units of the raw activations (the library multiplies its norm factor in before it saves),
 * so there is no scale.
 */
export const dictionaryLearning: ForeignFormat = {
  name: 'dictionary_learning',
  recognises: async (files) => files.includes(WEIGHTS),
  async read(folder, options = {}) {
    const file = await readJsonObject(join(folder, CONFIG));
    if (file === null) throw badForeign(folder, `has ${WEIGHTS} but no ${CONFIG}, which says what kind of dictionary it is; fetch it from where the weights came from`);
    const trainer = file.object('trainer');
    const state = await readTorchState(join(folder, WEIGHTS), options);
    const name = classOf(state, trainer);
    const read = DICT_CLASSES[name]!.read(state, trainer.has('k') ? trainer.integer('k', 1) : null);
    const sizes = { activation_dim: read.dIn, dict_size: read.nFeatures };
    for (const [key, size] of Object.entries(sizes)) {
      if (trainer.has(key) && trainer.integer(key, 1) !== size) throw trainer.wrong(key, `${size}, as in ${WEIGHTS}`);
    }
    const hook = hookOf(trainer, file.object('buffer'));
    const found: ForeignDictionary = {
      format: 'dictionary_learning',
      ...read,
      dOut: read.dIn,
      hook,
      model: trainer.textOrNull('lm_name'),
      inputScale: 1,
      outputScale: 1,
      notes: [`class ${name}`, ...(hook.point === null ? [] : [`reads ${hook.point}, by ${hook.said}`]), ...read.notes, ...state.notes()],
      label: '',
    };
    return [checkedForeign(join(folder, WEIGHTS), found)];
  },
  write: writeDictionaryLearning,
};

/** The class that has exactly these keys and is the one config.json names. */
function classOf(state: TorchState, trainer: JsonObject): string {
  const keys = [...state.tensors.keys()];
  const fits = (name: string): boolean => {
    const expected = DICT_CLASSES[name]!.keys;
    // Only AutoEncoderTopK is of any use without them.
    const optional = (key: string): boolean => name === 'AutoEncoderTopK' && LATER_KEYS.has(key);
    return keys.every((key) => expected.includes(key)) && expected.every((key) => keys.includes(key) || optional(key));
  };
  const fitting = Object.keys(DICT_CLASSES).filter(fits);
  const said = trainer.textOrNull('dict_class');
  if (fitting.length === 0) {
    throw badForeign(state.path, `holds ${keys.slice(0, 20).join(', ') || 'nothing'}, which are the tensors of no class of dictionary_learning${said === null ? '' : ` (${CONFIG} says ${said})`}; expected those of one of ${Object.keys(DICT_CLASSES).join(', ')}`);
  }
  if (said === null) {
    if (fitting.length === 1) return fitting[0]!;
    throw badForeign(trainer.where, `has no dict_class, and the tensors of ${WEIGHTS} fit ${fitting.join(' and ')}, which give different codes; add "dict_class" to it`);
  }
  if (!fitting.includes(said)) throw badForeign(trainer.where, `dict_class is ${said}, but the tensors of ${WEIGHTS} are those of ${fitting.join(' or ')}; the two files do not belong together`);
  return said;
}

/** Names such as the library's examples use, which say the place themselves. */
const PLACE = /^(resid_pre|resid_post|attn_out|mlp_out|mlp_in)_layer_(\d+)$/;

/**
 * Where it reads and writes, from trainer.submodule_name (free text) and buffer.io: a name such as resid_post_layer_3, or the
 * path of a module together with which side of it was collected. The layer's number alone says nothing.
 */
function hookOf(trainer: JsonObject, buffer: JsonObject): ForeignDictionary['hook'] {
  const name = trainer.textOrNull('submodule_name');
  const layer = trainer.has('layer') ? trainer.fields['layer'] : null;
  const io = buffer.textOrNull('io');
  const said = `submodule_name ${JSON.stringify(name)}, layer ${JSON.stringify(layer)}, io ${JSON.stringify(io)}`;
  const none = { point: null, output: null, said };
  if (name === null) return none;
  const number = /(?:^|[._])(\d+)(?:$|\.)/.exec(name)?.[1];
  if (number !== undefined && typeof layer === 'number' && Number(number) !== layer) return none;
  if (name === 'embed' && io !== 'in' && io !== 'in_and_out') return { point: 'embed', output: null, said };
  const place = PLACE.exec(name);
  if (place !== null) {
    const side = place[1] === 'resid_pre' || place[1] === 'mlp_in' ? 'in' : 'out';
    const point = io === null || io === side || io === 'out' ? known(place[1]!, place[2]!) : null;
    return { point, output: null, said };
  }
  let point: HookPoint | null = null;
  let output: HookPoint | null = null;
  if (io === 'out') point = fromModulePath(name, 'output');
  else if (io === 'in') point = fromModulePath(name, 'input');
  else if (io === 'in_and_out') {
    point = fromModulePath(name, 'input');
    output = fromModulePath(name, 'output');
    if (point === null || output === null) return none;
  }
  return { point, output, said };
}
