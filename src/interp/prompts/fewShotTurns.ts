import type { ExplainSubject } from './explainSubject.ts';
import { FEW_SHOT_FEATURES } from './fewShotFeatures.ts';
import type { PromptMessage } from './promptMessage.ts';

/**
 * A conversation in which the example features were asked about and answered, and then the subject is asked about.
 * @param question about a feature; numbered from 1.
 * @param answer what an example's description is given as.
 */
export function fewShotTurns(system: string, subject: ExplainSubject, question: (subject: ExplainSubject, number: number) => string, answer: (description: string) => string = String): readonly PromptMessage[] {
  return [
    { role: 'system', content: system },
    ...FEW_SHOT_FEATURES.flatMap((feature, i): PromptMessage[] => [
      { role: 'user', content: question(feature, i + 1) },
      { role: 'assistant', content: answer(feature.description) },
    ]),
    { role: 'user', content: question(subject, FEW_SHOT_FEATURES.length + 1) },
  ];
}
