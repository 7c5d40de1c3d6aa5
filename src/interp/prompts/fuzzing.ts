import { judgingPrompt } from './detectionTurns.ts';
import type { JudgingExample } from './detectionTurns.ts';
import { MARKS_EXPLAINED } from './markedText.ts';
import { ESCAPES_EXPLAINED } from './shownText.ts';

const SYSTEM = [
  'A feature of a language model reacts to something in text. You are given a description of one feature and short excerpts, each cut out of a longer text, so that it may begin or end anywhere.',
  MARKS_EXPLAINED,
  ESCAPES_EXPLAINED,
  '',
  'Decide for every excerpt by itself whether the marks are where the feature reacts: 1 if the marked pieces, read in their surroundings, are what the description speaks of, 0 if other pieces are marked. Some questions have several excerpts with the right marks, others none. Go by the description alone.',
];

/** Invented; the first two excerpts of each have both labels, and which comes first varies. */
const EXAMPLES: readonly JudgingExample[] = [
  {
    description: 'the word "to" right after what somebody is given or lent',
    excerpts: [
      { text: ' at the gate she handed both tickets« to» the porter and went', label: 1 },
      { text: ', where the pump had frozen« overnight». Nobody had thought of', label: 0 },
      { text: ' walked down to« the» river before the others were awake, and', label: 0 },
      { text: ' money. He had lent a good half of it« to» his brother with', label: 1 },
      { text: ' it« seemed» to him that the bells rang later than they used', label: 0 },
    ],
  },
  {
    description: 'years written in digits',
    excerpts: [
      { text: ' 36« boxes» of nails, 12 hinges and a door of« oak», paid in', label: 0 },
      { text: ' the mill burned down in« 1874» and was never built again. Its', label: 1 },
      { text: ', Lisbon,« 1998»). A second edition with more maps came out in« 2003»', label: 1 },
      { text: ' classes in the winter of« 1951» were held in the town hall', label: 1 },
      { text: ' please« call» extension 4410 between nine and« noon», or leave', label: 0 },
    ],
  },
  {
    description: 'the closing brace of a block of program code',
    excerpts: [
      { text: String.raw`  return sum / rows.length;«\n}»\n\nfunction nameOf(path) {`, label: 1 },
      { text: String.raw` print(len(rows))\nfor« row» in rows:\n    total += row[2]`, label: 0 },
      { text: ' between two rows of beans (and a« bucket») the children had', label: 0 },
      { text: String.raw`let limit = 20;\nlet« north» = "N";\n// read until the end`, label: 0 },
      { text: ' wool can« be» washed with linen if the water is cold, silk', label: 0 },
    ],
  },
];

/** Fuzzing (delphi): are the marks on the described thing? Own words, own examples. */
export const fuzzingPrompt = judgingPrompt('fuzzing-v1', SYSTEM, EXAMPLES, 'list');
export const fuzzingOnePrompt = judgingPrompt('fuzzing-one-v1', SYSTEM, EXAMPLES, 'one');
