import type { ExplainPrompt } from './explainPrompt.ts';
import { maxAct } from './maxAct.ts';
import { maxActLogits } from './maxActLogits.ts';
import { tokenActPair } from './tokenActPair.ts';

/** The ways in which a language model can be asked to explain a feature. */
export const LLM_METHODS = ['token-act-pair', 'max-act', 'max-act-logits'] as const;

export type LlmMethod = (typeof LLM_METHODS)[number];

export function isLlmMethod(name: string): name is LlmMethod {
  return (LLM_METHODS as readonly string[]).includes(name);
}

export const EXPLAIN_PROMPTS: Readonly<Record<LlmMethod, ExplainPrompt>> = {
  'token-act-pair': tokenActPair,
  'max-act': maxAct,
  'max-act-logits': maxActLogits,
};
