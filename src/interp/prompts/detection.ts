import { judgingPrompt } from './detectionTurns.ts';
import type { JudgingExample } from './detectionTurns.ts';
import { ESCAPES_EXPLAINED } from './shownText.ts';

const SYSTEM = [
  'A feature of a language model reacts to something in text. You are given a description of one feature and short excerpts, each cut out of a longer text, so that it may begin or end anywhere.',
  ESCAPES_EXPLAINED,
  '',
  'Decide for every excerpt by itself whether the feature reacts anywhere in it: 1 if the excerpt holds what the description speaks of, 0 if it does not. Some questions have several such excerpts, others none. Go by the description alone, not by what else the excerpts have in common.',
];

/** Invented; the first two excerpts of each have both labels, and which comes first varies. */
const EXAMPLES: readonly JudgingExample[] = [
  {
    description: 'the word "to" right after what somebody is given or lent',
    excerpts: [
      { text: ' at the gate she handed both tickets to the porter and went', label: 1 },
      { text: ' walked down to the river before the others were awake, and', label: 0 },
      { text: ' it seemed to him that the bells rang later than they used', label: 0 },
      { text: ' money. He had lent a good half of it to his brother with', label: 1 },
      { text: ', where the pump had frozen overnight. Nobody had thought of', label: 0 },
    ],
  },
  {
    description: 'years written in digits',
    excerpts: [
      { text: ' 36 boxes of nails, 12 hinges and a door of oak, paid in', label: 0 },
      { text: ' the mill burned down in 1874 and was never built again. Its', label: 1 },
      { text: ', Lisbon, 1998). A second edition with more maps came out', label: 1 },
      { text: ' classes in the winter of 1951 were held in the town hall', label: 1 },
      { text: ' please call extension 4410 between nine and noon, or leave', label: 0 },
    ],
  },
  {
    description: 'the closing brace of a block of program code',
    excerpts: [
      { text: String.raw`  return sum / rows.length;\n}\n\nfunction nameOf(path) {`, label: 1 },
      { text: String.raw` print(len(rows))\nfor row in rows:\n    total += row[2]`, label: 0 },
      { text: ' between two rows of beans (and a bucket) the children had', label: 0 },
      { text: String.raw`let limit = 20;\nlet north = "N";\n// read until the end`, label: 0 },
      { text: ' wool can be washed with linen if the water is cold, silk', label: 0 },
    ],
  },
];

/** Detection (delphi): is the described thing in the excerpt? Own words, own examples. */
export const detectionPrompt = judgingPrompt('detection-v1', SYSTEM, EXAMPLES, 'list');
export const detectionOnePrompt = judgingPrompt('detection-one-v1', SYSTEM, EXAMPLES, 'one');
