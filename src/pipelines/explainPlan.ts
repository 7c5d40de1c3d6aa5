import type { FeatureAnalysis } from '../domain/feature.ts';
import { skipReason } from '../interp/eligibility.ts';
import { splitFragments } from '../interp/split.ts';
import type { Artefacts } from '../ports/Artefacts.ts';
import type { Explainer } from '../ports/Explainer.ts';
import type { RequestSize } from '../ports/RequestSize.ts';
import type { Scorer } from '../ports/Scorer.ts';
import { explainTask, scoreTask } from './explainFeatures.ts';

/** What a run would ask language models for, before anything is sent. */
export interface ExplainPlan {
  /** Features asked for, and those of them with enough fragments to be explained. */
  readonly features: number;
  readonly eligible: number;
  /** Eligible features whose requests were built; the sums are scaled from them. */
  readonly sampled: number;
  readonly requests: number;
  /** Tokens of all prompts: four bytes a token, and one byte a token, which no byte-level tokenizer exceeds. */
  readonly promptTokens: Bounds;
  readonly replyTokens: Bounds;
}

export interface Bounds {
  readonly expected: number;
  /** When every reply is as long as it may be; a reply that makes no sense and is asked again comes on top. */
  readonly worst: number;
}

/** Eligible features whose requests are built, at least (when there are as many); at most twice as many. */
const SAMPLE = 200;
const BYTES_A_TOKEN = 4;
/** As long as descriptions are on the whole. */
const PLACEHOLDER = 'the word "about" and prepositions near it, mostly in questions on how something was made or who said it, less in lists';

/**
 * Sums what explainer and scorers would ask about the features of an analysis. Descriptions are not known yet: one of ordinary
 * length stands for each. Of many eligible features an evenly spaced sample is built and scaled. Sends nothing.
 */
export async function planExplain(
  artefacts: Artefacts,
  { explainer, scorers }: { readonly explainer: Explainer; readonly scorers: readonly Scorer[] },
  featuresPath: string,
  options: { readonly features: number | 'all'; readonly minFragments: number },
): Promise<ExplainPlan> {
  let features = 0;
  let eligible = 0;
  let stride = 1;
  let sums: Sum[] = [];
  for await (const feature of artefacts.readRecords<FeatureAnalysis>(featuresPath)) {
    if (features === options.features) break;
    features++;
    if (skipReason(feature, options.minFragments) !== null) continue;
    if (eligible++ % stride !== 0) continue;
    sums.push(sumOf(requestsOf(feature, explainer, scorers)));
    if (sums.length <= 2 * SAMPLE) continue;
    sums = sums.filter((_, i) => i % 2 === 0);
    stride *= 2;
  }
  const scale = sums.length === 0 ? 0 : eligible / sums.length;
  const total = (of: (sum: Sum) => number): number => Math.round(scale * sums.reduce((all, sum) => all + of(sum), 0));
  return {
    features,
    eligible,
    sampled: sums.length,
    requests: total((sum) => sum.requests),
    promptTokens: { expected: total((sum) => sum.promptBytes / BYTES_A_TOKEN), worst: total((sum) => sum.promptBytes) },
    replyTokens: { expected: total((sum) => sum.expectedTokens), worst: total((sum) => sum.maxTokens) },
  };
}

function requestsOf(feature: FeatureAnalysis, explainer: Explainer, scorers: readonly Scorer[]): RequestSize[] {
  const split = splitFragments(feature.exemplars);
  const described = { index: feature.index, explainer: explainer.name, description: PLACEHOLDER, detail: null };
  return [
    ...(explainer.plan?.([explainTask(feature, split)]) ?? []),
    ...scorers.filter((scorer) => scorer.judges(explainer.name)).flatMap((scorer) => scorer.plan?.([scoreTask(split, described)]) ?? []),
  ];
}

interface Sum extends RequestSize {
  readonly requests: number;
}

function sumOf(requests: readonly RequestSize[]): Sum {
  let [promptBytes, maxTokens, expectedTokens] = [0, 0, 0];
  for (const request of requests) {
    promptBytes += request.promptBytes;
    maxTokens += request.maxTokens;
    expectedTokens += request.expectedTokens;
  }
  return { requests: requests.length, promptBytes, maxTokens, expectedTokens };
}
