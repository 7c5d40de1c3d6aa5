import { firstSentence, wholeClauses } from './firstSentence.ts';
import { REFUSAL, THINKING_ALOUD } from './nonAnswers.ts';
import type { PromptMessage } from './promptMessage.ts';
import { repeatsPrompt } from './repeatsPrompt.ts';
import { replyText } from './replyText.ts';
import type { PromptReply } from './replyText.ts';

/** Characters; longer is a ramble, not a description. */
export const LONGEST_DESCRIPTION = 400;

export interface AskedForExplanation {
  readonly messages: readonly PromptMessage[];
  /** What the answer was to begin with; taken away where the reply repeats it. */
  readonly beginning: string;
}

const LABEL = /^(?:(?:the |my |final |short |one[- ]sentence )*(?:explanation|description|answer|phrase|summary|label|feature(?: \d+)?|result|output)(?: (?:of|for) (?:the |this )?feature(?: \d+)?)?|this feature)\s*(?:[:：]|\s[-–—]\s)\s*/iu;
const LABEL_WITHIN = /(?:^|\n)\s*(?:final |short )?(?:explanation|description|answer|phrase)\s*[:：]\s*\S/iu;
const LIST_MARKER = /^(?:[-*•–—]|\(?\d{1,2}[.)]|#{1,6}|>)\s+/u;
const LIST_LINE = /^\s*(?:[-*•]|\(?\d{1,2}[.)])\s+\S/u;
/** `Sure, here is …:` and the like. */
const PREAMBLE = /^(?:(?:sure|certainly|of course|okay|ok|yes|great)\b[^:\n]{0,80}|here(?:'s| is| are)[^:\n]{0,80}|based on [^:\n]{0,100})[:!]\s*/iu;
const BEGINNINGS = /^(?:the|this) (?:feature|neuron|latent) (?:(?:is|gets|becomes|appears to be|seems to be) (?:most |mainly |strongly )?(?:active|activated)|activates|fires|responds|reacts)(?: most)?(?: strongly| mainly| primarily)? (?:on|by|for|to|at|when it sees|in response to)(?:\s+|[\s.:…]*$)/iu;
/** What only our prompts write. */
const PROMPT_MARKS = /^\s*<(?:start|end)>|\t(?:10|\d)\s*(?:\n|$)|^(?:Text \d+:|Strongest:|Feature \d+\s*$|Likelier next:|Less likely next:)/mu;
/** After its answer the model goes on with a question of its own. */
const NEXT_QUESTION = /\n\s*(?:Feature \d+[ \t]*\n|Text \d+:|<start>)[\s\S]*$/u;
const JSON_LIKE = /^[{[]\s*["'{[\d]|^\{[^}]*\}?$|^\[[^\]]*\]?$|^"[^"]*"\s*:\s*["[{\d]|^\s*<\/?\w+[^>]*>\s*$/u;

/**
 * From a reply to one sentence: what goes before the answer (thoughts, labels, list markers, the prompt's own beginning), quotation
 * marks around it and what follows its first sentence are taken away. `bad` says why a reply is no explanation, in words that
 * never vary, so that they can be counted.
 */
export function readExplanation(reply: PromptReply, asked: AskedForExplanation): { readonly value: string } | { readonly bad: string } {
  if (reply.finish === 'refused') return { bad: 'the model declined to answer' };
  if (reply.text.trim() === '') return { bad: 'the reply is empty' };
  const spoken = replyText(reply.text);
  if (spoken === null) return { bad: 'the reply ends while the model still reasons' };
  const said = spoken.replace(NEXT_QUESTION, '');
  if (said === '') return { bad: 'the reply is empty' };
  if (PROMPT_MARKS.test(said)) return { bad: 'the reply repeats the prompt' };
  if (said.includes('```')) return { bad: 'the reply is code' };
  if (isList(said)) return { bad: 'the reply is a list' };
  const { answer, last } = firstLine(said, asked.beginning);
  if (answer === '') return { bad: said === spoken ? 'the reply is empty' : 'the reply repeats the prompt' };
  if (JSON_LIKE.test(answer)) return { bad: 'the reply is JSON or markup' };
  if (REFUSAL.test(answer)) return { bad: 'the model declined to answer' };
  if (THINKING_ALOUD.test(answer)) return { bad: 'the reply thinks aloud instead of answering' };
  let { sentence, whole } = firstSentence(answer);
  if (!whole && reply.finish === 'length' && last && said === spoken) {
    const clauses = wholeClauses(sentence);
    if (clauses === null) return { bad: 'the reply is cut off before a clause is whole' };
    sentence = clauses;
  }
  const description = undress(sentence.replace(/[\s,;:]+$/u, '').replace(/(?<!\.)[.。]["'”»]?$/u, (end) => end.slice(1)));
  if (!/\p{L}/u.test(description)) return { bad: 'the reply has no words' };
  if (description.length > LONGEST_DESCRIPTION) return { bad: 'the reply is too long for a description' };
  if (repeatsPrompt(description, asked.messages) || repeatsPrompt(answer, asked.messages)) return { bad: 'the reply repeats the prompt' };
  return { value: description };
}

/** Two or more lines that each begin as an item does. */
function isList(text: string): boolean {
  return text.split('\n').filter((line) => LIST_LINE.test(line)).length >= 2;
}

/** The first line that answers, without what stands before an answer. A label further down says where the answer is. */
function firstLine(text: string, beginning: string): { readonly answer: string; readonly last: boolean } {
  const label = LABEL_WITHIN.exec(text);
  const lines = (label === null ? text : text.slice(label.index)).trim().split('\n');
  for (const [i, line] of lines.entries()) {
    const answer = stripBefore(line.replaceAll(/\s+/gu, ' ').trim(), beginning);
    // `Here is the phrase:` alone on its line.
    if (answer !== '' && !/^[^.]{0,80}:$/u.test(answer)) return { answer, last: i === lines.length - 1 };
  }
  return { answer: '', last: true };
}

function stripBefore(line: string, beginning: string): string {
  let text = line;
  for (let before = ''; before !== text; ) {
    before = text;
    text = undress(text.replace(LIST_MARKER, '').replaceAll(/\*\*|__(?=\S)|(?<=\S)__/gu, ''));
    text = text.replace(PREAMBLE, '').replace(LABEL, '').replace(BEGINNINGS, '');
    if (text.toLowerCase().startsWith(beginning.toLowerCase())) text = text.slice(beginning.length);
    text = text.replace(/^[\s:…]+|^\.{3}\s*/u, '').trim();
  }
  return text;
}

const PAIRS: readonly (readonly [string, string])[] = [['"', '"'], ["'", "'"], ['“', '”'], ['‘', '’'], ['`', '`'], ['«', '»'], ['*', '*'], ['_', '_']];

/** Takes away quotation marks that are around the whole text, and one that is never closed. */
function undress(text: string): string {
  let inner = text.trim();
  if (/^["“][^"”]*$/u.test(inner)) inner = inner.slice(1);
  for (let again = true; again; ) {
    again = false;
    for (const [open, close] of PAIRS) {
      if (inner.length < 3 || !inner.startsWith(open) || !inner.endsWith(close)) continue;
      const middle = inner.slice(1, -1);
      if (middle.includes(open) || middle.includes(close)) continue;
      inner = middle.trim();
      again = true;
    }
  }
  return inner;
}
