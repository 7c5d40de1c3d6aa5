import { join } from 'node:path';
import { checkedForeign, badForeign, type ForeignDictionary, type ForeignFormat } from './foreign.ts';
import { readJsonObject } from './jsonObject.ts';
import { readSaelensConfig, type SaelensConfig } from './saelensConfig.ts';
import { foldedWeights, SAELENS_FAMILY } from './saelensWeights.ts';
import { readSafetensors } from './safetensors.ts';

const CONFIG = 'cfg.json';
const WEIGHTS = 'sae_weights.safetensors';
const SCALER = 'activation_scaler.json';

/**
 * A folder of SAELens (decoderesearch/SAELens 6, and the flat configs before it): cfg.json, sae_weights.safetensors. Computes
 * what its inference classes do; sparsity.safetensors and what else lies there is not read.
 */
export const saelens: ForeignFormat = {
  name: 'saelens',
  recognises: async (files) => files.includes(CONFIG) && files.includes(WEIGHTS),
  async read(folder, options = {}) {
    const file = await readJsonObject(join(folder, CONFIG));
    if (file === null) throw badForeign(folder, `has no ${CONFIG}: expected a folder that SAELens' save_model wrote`);
    const config = readSaelensConfig(file);
    const { factor, note } = await normFactor(folder, file.where, config, options.normFactor);
    const weights = await readSafetensors(join(folder, WEIGHTS));
    const { parameters, nFeatures, notes } = foldedWeights(weights, config, WEIGHTS);
    const found: ForeignDictionary = {
      format: 'saelens',
      architecture: SAELENS_FAMILY[config.architecture],
      parameters, nFeatures,
      k: config.k,
      dIn: config.dIn,
      dOut: config.dOut,
      hook: config.hook,
      transcoder: config.architecture.endsWith('transcoder'),
      model: config.model,
      // The library folds a factor s as W_enc·s, W_dec/s, b_dec/s, which is x·s on the way in and x̂/s on the way out.
      inputScale: 1 / factor,
      outputScale: 1 / factor,
      centred: config.centred,
      notes: [...config.notes, ...notes, ...(note === null ? [] : [note])],
      label: '',
    };
    return [checkedForeign(folder, found)];
  },
};

/** What activations were multiplied by in training and the weights do not hold; 1 where there is no such thing. */
async function normFactor(folder: string, where: string, config: SaelensConfig, given: number | undefined): Promise<{ factor: number; note: string | null }> {
  const scaler = await readJsonObject(join(folder, SCALER));
  const saved = scaler?.fields['scaling_factor'] ?? null;
  if (saved !== null && !(typeof saved === 'number' && Number.isFinite(saved) && saved > 0)) throw badForeign(join(folder, SCALER), `scaling_factor must be a positive number or null, found ${JSON.stringify(saved)}`);
  if (!config.needsNormFactor) {
    if (saved !== null) throw badForeign(where, `normalize_activations is none, yet ${SCALER} holds a factor (${saved}) that was not folded: one of the two is wrong`);
    if (given !== undefined) throw badForeign(where, 'normalize_activations is none, so there is nothing for --norm-factor to say: leave it out');
    return { factor: 1, note: null };
  }
  if (given !== undefined && saved !== null && Math.abs(given - saved) > 1e-6 * saved) throw badForeign(join(folder, SCALER), `scaling_factor is ${saved}, --norm-factor says ${given}: leave --norm-factor out, or remove the file`);
  const factor = given ?? saved;
  if (factor === null) {
    throw badForeign(
      where,
      'normalize_activations is expected_average_only_in: in training x was multiplied by a factor (√D over the mean norm of x) which is not in the files, and without which codes are wrong. ' +
        "Give it with --norm-factor: it is norm_scaling_factor in SAELens' pretrained_saes.yaml, or scaling_factor in the training checkpoint's activation_scaler.json; 1 if you know that the weights were folded",
    );
  }
  return { factor, note: `activations are multiplied by ${factor} before encoding (${given === undefined ? SCALER : '--norm-factor'})` };
}
