import type { DictionaryArchitecture } from '../../domain/dictionary.ts';
import { badForeign, type ForeignDictionary } from './foreign.ts';
import { biasWithCentre, foldedGate, rowNorms, scaledRows, transposed } from './linearFolds.ts';
import type { TorchState } from './torchState.ts';

/** What a state_dict alone says of a dictionary. */
export type ReadClass = Pick<ForeignDictionary, 'architecture' | 'parameters' | 'k' | 'dIn' | 'nFeatures' | 'notes'>;

interface DictClass {
  readonly keys: readonly string[];
  /** `k` is that of config.json, for files without the buffer. */
  read(state: TorchState, k: number | null): ReadClass;
}

const LINEAR = ['encoder.weight', 'encoder.bias', 'decoder.weight'];
const MATRICES = ['W_enc', 'b_enc', 'W_dec', 'b_dec'];

/** The classes of dictionary_learning (saprmarks/dictionary_learning, dictionary.py and trainers/), by their names in config.json. */
export const DICT_CLASSES: Readonly<Record<string, DictClass>> = {
  /** relu(W(x − b) + e), decoded + b; loading divides each column of the decoder by its norm and multiplies the code by it. */
  AutoEncoder: {
    keys: [...LINEAR, 'bias'],
    read(state) {
      const { D, F, encoder, encoderBias, decoder } = linear(state);
      const bias = state.take('bias', D);
      const norms = rowNorms(decoder, D).map((norm) => (norm === 0 ? 1 : norm));
      const unit = norms.every((norm) => Math.abs(norm - 1) <= 1e-5); // the library's own test
      const parameters = unit
        ? { encoder, encoderBias: biasWithCentre(encoderBias, encoder, bias), decoder }
        : scaled({ encoder, encoderBias: biasWithCentre(encoderBias, encoder, bias), decoder }, norms);
      const notes = unit ? [] : ['decoder directions divided by their norms and codes multiplied by them, as the library does on loading'];
      return { architecture: 'untied', parameters: { ...parameters, threshold: null, decoderBias: bias, skip: null }, k: null, dIn: D, nFeatures: F, notes };
    },
  },
  /** relu(Wx + e), decoded + b: nothing subtracted, nothing normalised. */
  AutoEncoderNew: {
    keys: [...LINEAR, 'decoder.bias'],
    read(state) {
      const { D, F, encoder, encoderBias, decoder } = linear(state);
      return { architecture: 'untied', parameters: { encoder, encoderBias, threshold: null, decoder, decoderBias: state.take('decoder.bias', D), skip: null }, k: null, dIn: D, nFeatures: F, notes: [] };
    },
  },
  /** Gate and magnitude share W: a threshold on the magnitude, see `foldedGate`. */
  GatedAutoEncoder: {
    keys: ['decoder_bias', 'encoder.weight', 'r_mag', 'gate_bias', 'mag_bias', 'decoder.weight'],
    read(state) {
      const [F, D] = state.sizes('encoder.weight');
      const decoderBias = state.take('decoder_bias', D);
      const gate = { rMag: state.take('r_mag', F), gateBias: state.take('gate_bias', F), magBias: state.take('mag_bias', F) };
      const { encoder, encoderBias: magBias, threshold } = foldedGate({ encoder: state.take('encoder.weight', F, D), ...gate });
      return {
        architecture: 'gated',
        parameters: { encoder, encoderBias: biasWithCentre(magBias, encoder, decoderBias), threshold, decoder: transposed(state.take('decoder.weight', D, F), D, F), decoderBias, skip: null },
        k: null, dIn: D, nFeatures: F,
        notes: ['the gate is folded into thresholds, which gives the same codes'],
      };
    },
  },
  /** pre where pre = x·W_enc + b_enc is above its threshold and 0: b_dec is not subtracted from x. */
  JumpReluAutoEncoder: {
    keys: [...MATRICES, 'threshold'],
    read(state) {
      const { D, F, encoder, encoderBias, decoder, decoderBias } = matrices(state);
      const threshold = state.take('threshold', F).map((theta) => Math.max(0, theta)); // relu follows; max keeps NaN, which is refused later
      return { architecture: 'jumprelu', parameters: { encoder, encoderBias, threshold, decoder, decoderBias, skip: null }, k: null, dIn: D, nFeatures: F, notes: [] };
    },
  },
  /** The k largest of relu(W(x − b_dec) + e); its threshold serves another mode and is not the default. */
  AutoEncoderTopK: {
    keys: [...LINEAR, 'b_dec', 'k', 'threshold'],
    read(state, configK) {
      const { D, F, encoder, encoderBias, decoder } = linear(state);
      const decoderBias = state.take('b_dec', D);
      return {
        architecture: 'topk',
        parameters: { encoder, encoderBias: biasWithCentre(encoderBias, encoder, decoderBias), threshold: null, decoder, decoderBias, skip: null },
        k: kOf(state, configK), dIn: D, nFeatures: F, notes: [],
      };
    },
  },
  /** relu(W(x − b_dec) + e) where above one threshold that training estimated; k was the mean over a batch. */
  BatchTopKSAE: {
    keys: [...LINEAR, 'b_dec', 'k', 'threshold'],
    read(state, configK) {
      const { D, F, encoder, encoderBias, decoder } = linear(state);
      return batch(state, 'batchtopk', configK, { D, F, encoder, encoderBias, decoder, decoderBias: state.take('b_dec', D) });
    },
  },
  /** As BatchTopKSAE; the sizes of the nested groups matter in training only. */
  MatryoshkaBatchTopKSAE: {
    keys: [...MATRICES, 'group_sizes', 'k', 'threshold'],
    read(state, configK) {
      const sizes = state.tensors.get('group_sizes')!;
      const read = batch(state, 'matryoshka', configK, matrices(state));
      const sum = sizes.data.reduce((total, size) => total + size, 0);
      if (sizes.shape.length !== 1 || sum !== read.nFeatures) throw badForeign(state.path, `group_sizes sum to ${sum}, expected the ${read.nFeatures} features`);
      return { ...read, notes: [...read.notes, `nested groups of ${sizes.data.join(', ')} features`] };
    },
  },
};

interface Parts {
  readonly D: number;
  readonly F: number;
  readonly encoder: Float32Array;
  readonly encoderBias: Float32Array;
  readonly decoder: Float32Array;
}

/** nn.Linear keeps [out, in], so the decoder is transposed. */
function linear(state: TorchState): Parts {
  const [F, D] = state.sizes('encoder.weight');
  return { D, F, encoder: state.take('encoder.weight', F, D), encoderBias: state.take('encoder.bias', F), decoder: transposed(state.take('decoder.weight', D, F), D, F) };
}

/** Plain matrices, the encoder as [in, out]. */
function matrices(state: TorchState): Parts & { readonly decoderBias: Float32Array } {
  const [D, F] = state.sizes('W_enc');
  return { D, F, encoder: transposed(state.take('W_enc', D, F), D, F), encoderBias: state.take('b_enc', F), decoder: state.take('W_dec', F, D), decoderBias: state.take('b_dec', D) };
}

function batch(state: TorchState, architecture: DictionaryArchitecture, configK: number | null, { D, F, encoder, encoderBias, decoder, decoderBias }: Parts & { readonly decoderBias: Float32Array }): ReadClass {
  const threshold = state.scalar('threshold');
  const k = kOf(state, configK);
  if (threshold < 0) {
    // The library itself then lets every positive feature through, which is what nobody trained; k per vector would be a guess.
    throw badForeign(state.path, `threshold is ${threshold}: training ended before step threshold_start_step (1000 unless changed), so no threshold was estimated and what is active cannot be known. Train longer, or set the threshold buffer in Python and save again`);
  }
  return {
    architecture,
    parameters: { encoder, encoderBias: biasWithCentre(encoderBias, encoder, decoderBias), threshold: new Float32Array(F).fill(threshold), decoder, decoderBias, skip: null },
    k: null, dIn: D, nFeatures: F,
    notes: [`one threshold of ${threshold} for all features, trained for ${k} active ones a vector on average`],
  };
}

function kOf(state: TorchState, configK: number | null): number {
  const k = state.tensors.has('k') ? state.scalar('k') : configK;
  if (k === null) throw badForeign(state.path, 'neither a buffer k nor trainer.k in config.json says how many features are active; add "k" to config.json');
  if (configK !== null && k !== configK) throw badForeign(state.path, `k is ${k}, config.json says ${configK}; the two files do not belong together`);
  return k;
}

function scaled({ encoder, encoderBias, decoder }: Pick<Parts, 'encoder' | 'encoderBias' | 'decoder'>, norms: Float64Array): Pick<Parts, 'encoder' | 'encoderBias' | 'decoder'> {
  return { encoder: scaledRows(encoder, norms), encoderBias: scaledRows(encoderBias, norms), decoder: scaledRows(decoder, norms.map((norm) => 1 / norm)) };
}
