import type { RequestSize } from '../../ports/RequestSize.ts';

/** USD per million tokens, as providers list them. */
export interface Prices {
  readonly promptPerMillion: number;
  readonly completionPerMillion: number;
}

export interface TokenCount {
  readonly promptTokens: number;
  readonly completionTokens: number;
}

export interface CostEstimate {
  readonly requests: number;
  readonly expected: TokenCount & { readonly usd: number | null };
  /** Every byte a token, every reply as long as it may be; repetitions after useless replies are not in it. */
  readonly worst: TokenCount & { readonly usd: number | null };
}

/** USD; null without prices. */
export function costOf({ promptTokens, completionTokens }: TokenCount, prices: Prices | null): number | null {
  return prices === null ? null : (promptTokens * prices.promptPerMillion + completionTokens * prices.completionPerMillion) / 1e6;
}

/** What requests will cost, before any is sent. `bytesPerToken`: of ordinary English about 4. */
export function estimateCost(sizes: Iterable<RequestSize>, prices: Prices | null, bytesPerToken = 4): CostEstimate {
  let requests = 0;
  const expected = { promptTokens: 0, completionTokens: 0 };
  const worst = { promptTokens: 0, completionTokens: 0 };
  for (const { promptBytes, maxTokens, expectedTokens } of sizes) {
    requests++;
    expected.promptTokens += Math.ceil(promptBytes / bytesPerToken);
    expected.completionTokens += Math.min(expectedTokens, maxTokens);
    worst.promptTokens += promptBytes;
    worst.completionTokens += maxTokens;
  }
  return { requests, expected: { ...expected, usd: costOf(expected, prices) }, worst: { ...worst, usd: costOf(worst, prices) } };
}
