import type { Run } from '../domain/run.ts';
import type { IoiCurve, IoiEstimate, IoiReportData } from '../ports/IoiReport.ts';
import type { TokenisedPair } from './ioiPrompts.ts';

export interface IoiReportInput {
  readonly model: string;
  readonly methods: IoiReportData['methods'];
  readonly curves: readonly IoiCurve[];
  readonly run: Run;
  readonly prompts: readonly TokenisedPair[];
  /** Names that were drawn from. */
  readonly names: number;
  readonly behaviour: { readonly base: number; readonly counterfactual: number };
  readonly unpatchedKl: number;
  readonly wholeRunSeconds: number;
}

/** What dictionaries are compared with. */
const REFERENCES = ['pca', 'pca-nonneg'];
/** Half of the unpatched KL: what the verdicts speak of. */
const HALF = 0.5;

/** The report of a finished run. */
export function ioiReportData({ model, methods, curves, run, prompts, names, behaviour, unpatchedKl, wholeRunSeconds }: IoiReportInput): IoiReportData {
  const tokens = prompts.map(({ baseIds }) => baseIds.length);
  const sum = (of: (curve: IoiCurve) => number): number => curves.reduce((total, curve) => total + of(curve), 0);
  const plain = sum(({ cost }) => cost.plain.seconds);
  const seconds = sum(({ cost }) => cost.seconds);
  const steps = run.params['gradientSteps'];
  return {
    title: `Patching the indirect object in ${model}`,
    methods,
    curves,
    verdicts: verdictsOf(curves),
    notes: [
      'Each prompt names two people, one of whom gives something to the other; its counterfactual is the same sentence with a third person in the place of the one who is given something. KL is KL(patched‖counterfactual) of the next token after the last position, mean over prompts, in nats.',
      'Patched are a feature\'s activations at all positions, x′ = x + Σ (ĉ − c) f: the reconstruction error of the base prompt stays. So all features patched is not the counterfactual run, and the KL that is left there is what the dictionary does not explain.',
      `Threshold ordering: the protocol of Cunningham et al. 2023, section 4.2 (all patched, then for each rising threshold every feature in random order leaves if that raises the KL by less). Attribution ordering: features by gradient · (ĉ − c) f (${steps === 1 ? 'the gradient of the unedited run' : `gradients averaged over ${String(steps)} runs between nothing and everything patched`}), then every prefix measured; no seed decides it. The threshold sets are chosen by what they do on these very prompts, so they look better than they would on others; that holds for every method alike.`,
      'Features that differ nowhere between a prompt and its counterfactual are counted as not patched: patching them changes nothing.',
      'Edit magnitude: mean over all positions of all prompts of ‖x′ − x‖, of the very set whose KL is shown. Intervals: 95 %, bootstrap over prompts (the orderings are taken as they are).',
    ],
    facts: [
      ['run', `${run.stage} ${run.key}, seed ${run.seed}, program ${run.codeVersion}`],
      ['model', `${model}, weights ${run.inputs['model']}, tokenizer ${run.inputs['tokenizer']}`],
      ['prompts', `${prompts.length} pairs, ${prompts.filter(({ order }) => order === 'ABBA').length} ABBA and ${prompts.filter(({ order }) => order === 'BABA').length} BABA, ${Math.min(...tokens)} to ${Math.max(...tokens)} tokens, ${new Set(prompts.map(({ opening, action }) => `${opening} ${action}`)).size} templates, ${names} names of one token; e.g. “${prompts[0].base}” ${prompts[0].io} → ${prompts[0].other}`],
      ['the model puts the indirect object above the subject', `in ${percent(behaviour.base)} of the prompts and ${percent(behaviour.counterfactual)} of the counterfactuals`],
      ['nothing patched', `KL(base‖counterfactual) ${unpatchedKl.toFixed(3)} nats`],
      ['model runs', `${count(sum(({ cost }) => cost.sets))} sets in ${count(sum(({ cost }) => cost.runs))} runs of ${count(sum(({ cost }) => cost.rows))} prompts, ${seconds.toFixed(1)} s`],
      ['without shared prefixes and kept trials', `${count(sum(({ cost }) => cost.plain.runs))} runs of ${count(sum(({ cost }) => cost.plain.rows))} prompts from the first layer, ${(1000 * wholeRunSeconds).toFixed(1)} ms each as measured: ${plain.toFixed(0)} s, ${(plain / Math.max(seconds, 1e-9)).toFixed(1)} times as long`],
    ],
  };
}

/** Who needs how many patches to halve the KL, layer by layer, and which differences of area are beyond their interval. */
function verdictsOf(curves: readonly IoiCurve[]): string[] {
  const groups = new Map<string, IoiCurve[]>();
  for (const curve of curves) {
    const key = `Layer ${curve.layer}, ${curve.ordering} ordering`;
    groups.set(key, [...(groups.get(key) ?? []), curve]);
  }
  return [...groups].map(([key, group]) => {
    const needed = group.map((curve) => `${curve.method} ${words(curve.levels.find(({ share }) => share === HALF)!.patched)}`);
    const apart = [-1, 1].flatMap((sign) =>
      REFERENCES.flatMap((reference) => {
        const found = group.filter(({ method, against }) => !REFERENCES.includes(method) && against.some(({ method: other, area: { interval } }) => other === reference && interval !== null && (sign < 0 ? interval.high < 0 : interval.low > 0)));
        return found.length === 0 ? [] : [`${sign < 0 ? 'smaller' : 'larger'} than that of ${reference} for ${found.map(({ method }) => method).join(', ')}`];
      }),
    );
    return `${key}: patches to halve the KL: ${needed.join(', ')}. Area under the curve to ${group[0].areaTo} patches: ${apart.length === 0 ? 'no difference from PCA is beyond its interval' : apart.join('; ')}.`;
  });
}

function words({ value, interval }: IoiEstimate): string {
  if (value === null) return 'never';
  return `${value}${interval === null ? '' : ` [${Math.round(interval.low)}, ${Math.round(interval.high)}]`}`;
}

const percent = (share: number): string => `${(100 * share).toFixed(0)} %`;
const count = (value: number): string => value.toLocaleString('en-US');
