import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EXPLAIN_PROMPTS } from '../../../src/interp/prompts/methods.ts';
import { LONGEST_DESCRIPTION, readExplanation } from '../../../src/interp/prompts/readExplanation.ts';
import type { PromptReply } from '../../../src/interp/prompts/replyText.ts';

const TEXT = ['The', ' old', ' mill', ' stood', ' beside', ' a', ' narrow', ' river', ' until', ' the', ' great', ' flood', ' of', ' spring', '.'];
const SUBJECT = { fragments: [TEXT.map((text, i) => ({ text, level: i === 7 ? 10 : 0 }))], promoted: [' water'], suppressed: [' desert'] };

/** As a reply to the token–activation prompt, whose answer begins "This feature is active on". */
function read(text: string, finish: PromptReply['finish'] = 'stop', method: keyof typeof EXPLAIN_PROMPTS = 'token-act-pair'): { value: string } | { bad: string } {
  const prompt = EXPLAIN_PROMPTS[method];
  return readExplanation({ text, finish }, { messages: prompt.render(SUBJECT), beginning: prompt.beginning });
}

const GOOD = 'names of rivers and lakes';

/** Replies in which that sentence is found. */
const DRESSED: readonly string[] = [
  GOOD,
  `  ${GOOD}. \n`,
  `"${GOOD}."`,
  `“${GOOD}”.`,
  `This feature is active on ${GOOD}.`,
  `this feature is active on: ${GOOD}`,
  `"This feature is active on ${GOOD}."`,
  `The neuron fires on ${GOOD}.`,
  `... ${GOOD}.`,
  `Explanation: ${GOOD}`,
  `**Explanation:** ${GOOD}`,
  `**${GOOD}**`,
  `Explanation: "This feature is active on ${GOOD}."`,
  `Final answer: ${GOOD}`,
  `Phrase: ${GOOD}`,
  `1. ${GOOD}`,
  `- ${GOOD}`,
  `> ${GOOD}`,
  `Sure! ${GOOD}.`,
  `Sure, here is the explanation:\n\n${GOOD}.`,
  `Here is a short phrase: ${GOOD}`,
  `Based on the fragments, the explanation is: ${GOOD}`,
  `<think>\nThe tokens are Thames and Como. I cannot tell.\n</think>\n\n${GOOD}.`,
  `The tokens are rivers, I think.</think>${GOOD}`,
  `<reasoning>{"a": 1}</reasoning> ${GOOD}`,
  `<|channel|>analysis<|message|>Rivers and lakes.<|channel|>final<|message|>${GOOD}`,
  `\`\`\`\n${GOOD}\n\`\`\``,
  `\`\`\`text\nExplanation: ${GOOD}.\n\`\`\``,
  `\`${GOOD}\``,
  `${GOOD}. It is strongest on the last word of a name.`,
  `${GOOD}.\n\nSome other remark follows here.`,
  `${GOOD}.\n\nFeature 6\n<start>\n The\t0\n<end>\n\nThis feature is active on articles.`,
  `${GOOD}\n\nText 1: The« mill»\n\nPhrase: mills`,
  `"${GOOD}`,
  `${GOOD};`,
  `${GOOD}\n\nPhrase:`,
  `${GOOD}<|im_end|>\n<|im_start|>user\nmore`,
  `${GOOD}</s>`,
  `\u0007${GOOD}\u0000`,
  `I looked at all of it.\nExplanation: ${GOOD}.`,
  `names of\trivers and  lakes`,
];

test('one sentence is found whatever it is dressed in', () => {
  for (const reply of DRESSED) assert.deepEqual(read(reply), { value: GOOD }, JSON.stringify(reply));
});

/** Sentences that must come through as they are. */
const KEPT: readonly (readonly [string, string])[] = [
  ['the token " book"', 'the token " book"'],
  ['"not" or "never" before a verb.', '"not" or "never" before a verb'],
  ['the word that follows "to be" and "not to be"', 'the word that follows "to be" and "not to be"'],
  ['full stops "." at the end of a sentence. They are frequent.', 'full stops "." at the end of a sentence'],
  ['U.S. states, e.g. Texas, and cities.', 'U.S. states, e.g. Texas, and cities'],
  ['titles such as Dr. Smith or Mr. Jones. Never names.', 'titles such as Dr. Smith or Mr. Jones'],
  ['version numbers such as 3.14 (and dates, e.g. 1. May)', 'version numbers such as 3.14 (and dates, e.g. 1. May)'],
  ['code: braces and semicolons', 'code: braces and semicolons'],
  ['[ and ] in arrays', '[ and ] in arrays'],
  ['the letter \'s after a name\'s', 'the letter \'s after a name\'s'],
  ['apologies and the word "sorry"', 'apologies and the word "sorry"'],
  ['words that mean nothing or none', 'words that mean nothing or none'],
  ['the river', 'the river'],
  ['the word that comes directly after "not"', 'the word that comes directly after "not"'],
  ['words about planets and comets', 'words about planets and comets'],
  ['名詞 the author uses for rivers', '名詞 the author uses for rivers'],
  ['descriptions, answers: and explanations of rules', 'descriptions, answers: and explanations of rules'],
  ['2 or more digits in a row', '2 or more digits in a row'],
  ['keys of JSON objects such as "name": "x"', 'keys of JSON objects such as "name": "x"'],
  ['the question mark that ends a question', 'the question mark that ends a question'],
  ['the user name in addresses', 'the user name in addresses'],
  ['the prompt of a shell', 'the prompt of a shell'],
  ['to find, to seek and similar verbs', 'to find, to seek and similar verbs'],
  ['looking at the sky', 'looking at the sky'],
  ['let alone and let go', 'let alone and let go'],
  ['unfortunately and other adverbs of regret', 'unfortunately and other adverbs of regret'],
  ['sorry, pardon and other apologies', 'sorry, pardon and other apologies'],
  ['unknown words', 'unknown words'],
  ['unable to and other modal phrases', 'unable to and other modal phrases'],
  ['impossible to pronounce names', 'impossible to pronounce names'],
  ['please and thank you', 'please and thank you'],
  ['can you and could you at the beginning of a question', 'can you and could you at the beginning of a question'],
  ['no answer in lists of replies', 'no answer in lists of replies'],
  ['nothing but the truth', 'nothing but the truth'],
  ['so that and in order to', 'so that and in order to'],
  ['first names', 'first names'],
  ['well known names', 'well known names'],
  ['HTML tags such as <b> and <end>', 'HTML tags such as <b> and <end>'],
  ['there is and there are constructions', 'there is and there are constructions'],
];

test('what belongs to the sentence stays', () => {
  for (const [reply, description] of KEPT) assert.deepEqual(read(reply), { value: description }, reply);
});

const REFUSED: Readonly<Record<string, readonly string[]>> = {
  'the reply is empty': ['', '  \n\t', '""'.slice(2), '``` \n```', '<think>rivers</think>', 'Explanation:', '...', 'This feature is active on', 'The feature is active on', 'This feature responds to:', 'Sure, here is the explanation:'],
  'the model declined to answer': [
    'I cannot determine what this feature is about.', "I'm sorry, but I can't help with that.", 'I’m sorry, I can’t.', 'Sorry, no.', 'As an AI language model, I have no access to neurons.',
    'Unable to determine.', 'There is not enough information to say.', 'There is no clear pattern in the fragments.', 'None', 'N/A', 'unknown.', 'Unfortunately the text is too short.',
    "I don't know.", 'Please provide the fragments.', 'Could you share the fragments?', 'It is unclear what it detects.', 'Explanation: I cannot say.', 'What would you like me to explain?', 'No clear pattern.', 'Sorry.', 'Unclear what it detects.', '<think>hm</think> I am unable to answer this.',
  ],
  'the reply ends while the model still reasons': ['<think>\nLet me look at the tokens. The first one', '<thinking> rivers', '<think>a</think><think>b'],
  'the reply thinks aloud instead of answering': ['Let me look at the fragments first.', 'Okay, so I need to find what it is.', 'We need to describe the feature.', 'First, I look at the strongest tokens.', 'The user wants one sentence.', 'Looking at the numbers, they vary.'],
  'the reply repeats the prompt': [
    'The old mill stood beside a narrow river until the great flood', '"stood beside a narrow river until the great flood of spring."', '<start>\n river\t10\n<end>', ' river\t10', 'river\t10\nflood\t0',
    'Strongest: « river». Just before it: « narrow».', 'Text 1: The old mill', 'words about watching planets, comets and the night sky', 'the word that comes after "not" or "never"', 'This feature is active on units of weight, in recipes as well as for goods that are carried.',
    'High numbers matter most. Say what the active tokens have in common, or what stands before them', 'Find out what it looks for, and say so in one sentence.',
    'The same fragments, only the tokens that are not 0:\n<start>\n\nThis feature is active on', 'is\t8\npath\n(\n },0\n!\tnF \ntrace\t0',
  ],
  'the reply is a list': ['- rivers\n- lakes\n- seas', '1. rivers\n2. lakes', '* a river\n\n* a lake'],
  'the reply is JSON or markup': ['{"explanation": "names of rivers"}', '```json\n{"explanation": "names of rivers"}\n```', '["river", "lake"]', '[{"token": "river"', '"explanation": "rivers and lakes"', '{rivers}', '[]', '<div class="x">'],
  'the reply is code': ['```python\nprint("rivers")\n```', 'To example script:\n\n```c++\nint main() {}'],
  'the reply has no words': ['12 7 1999', '!!! ???', '10', '— “ ” —', '0\n0\n10'],
  'the reply is too long for a description': [`rivers ${'and lakes '.repeat(60)}`],
};

test('a reply that is no explanation is refused, for one of a few fixed reasons', () => {
  for (const [bad, replies] of Object.entries(REFUSED)) {
    for (const reply of replies) assert.deepEqual(read(reply), { bad }, JSON.stringify(reply));
    assert.doesNotMatch(bad, /\d/u);
  }
  assert.deepEqual(read('names of rivers', 'refused'), { bad: 'the model declined to answer' });
});

test('answers to the running-text prompts are held to their own texts', () => {
  for (const method of ['max-act', 'max-act-logits'] as const) {
    assert.deepEqual(read('Phrase: names of rivers', 'stop', method), { value: 'names of rivers' });
    assert.deepEqual(read('narrow river', 'stop', method), { value: 'narrow river' });
    assert.deepEqual(read('The old mill stood beside a narrow river', 'stop', method), { bad: 'the reply repeats the prompt' });
  }
});

const CUT: readonly (readonly [string, string | null])[] = [
  ['names of rivers. The feature is also active on the', 'names of rivers'],
  ['names of rivers and lakes, especially where they stand in a list of pla', 'names of rivers and lakes'],
  ['names of rivers and lakes, such as', 'names of rivers and lakes'],
  ['names of rivers and lakes, seas, and', 'names of rivers and lakes, seas'],
  ['words after a bracket (round, square, cur', null],
  ['the words "yes, it is, and', null],
  ['names of rivers and lakes in the north of the coun', null],
  ['names, of', null],
  ['names of **rivers** in the nor', null],
  ['Explanation: "names of rivers in the nor', null],
  ['names of rivers\n\nText 1: The« mi', 'names of rivers'],
  ['names of rivers and lakes\nand a second line that is cut', 'names of rivers and lakes'],
];

test('of a reply that was cut off only whole clauses are kept', () => {
  for (const [reply, kept] of CUT) assert.deepEqual(read(reply, 'length'), kept === null ? { bad: 'the reply is cut off before a clause is whole' } : { value: kept }, reply);
});

test('property: whatever the reply, a description is one line with words, of sane length', () => {
  const parts = ['names', ' of', ' rivers', '.', ' ', '\n', '"', "'", '<think>', '</think>', '```', '{', '}', '- ', '1. ', 'Explanation:', '\t3', '«', '»', '\u0000', '**', 'Sure', ',', ':', '(', '<|im_end|>', '\ud800', 'ß', '…'];
  for (let seed = 0; seed < 4000; seed++) {
    let state = seed + 1;
    const next = (n: number): number => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return Math.floor((state / 2 ** 32) * n);
    };
    const reply = Array.from({ length: 1 + next(14) }, () => parts[next(parts.length)]).join('');
    const parsed = read(reply, next(2) === 0 ? 'stop' : 'length');
    if ('bad' in parsed) continue;
    assert.match(parsed.value, /\p{L}/u, JSON.stringify(reply));
    assert.doesNotMatch(parsed.value, /\p{Cc}|<think|^\s|\s$/u, JSON.stringify(reply));
    assert.ok(parsed.value.length <= LONGEST_DESCRIPTION);
  }
});
