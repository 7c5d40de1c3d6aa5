import type { ChatMessage } from '../../src/ports/ChatModel.ts';

/**
 * A "language model" of rules for tests: it READS the prompt it is sent (no side channel), finds which tokens carry the high
 * activations, and answers in the grammar below. Judges for tests can read that grammar back with `readRule`.
 *
 *     the token "x"                     the tokens "x", "y" or "z"
 *     the token "x" after "y"           tokens after "y"
 *
 * Tokens are quoted exactly, with their leading space, in ' where they hold a ".
 */
export interface Rule {
  /** Tokens that are active; null = any. */
  readonly tokens: readonly string[] | null;
  /** One of these stands directly before; null = whatever stands there. */
  readonly after: readonly string[] | null;
}

/** A token of a fragment as the prompt shows it. */
interface Read {
  readonly text: string;
  /** 0 to 10. */
  readonly level: number;
}

/** Level from which a token counts as active. */
const ACTIVE = 4;
/** Most different tokens that are named. */
const NAMED = 6;

/** Answers an explain prompt (any of the three methods); null where the conversation is none. */
export function answerExplain(request: { readonly messages: readonly ChatMessage[] }): string | null {
  const asked = request.messages.findLast(({ role }) => role === 'user')?.content ?? '';
  if (asked.includes('\n<start>\n') && asked.trimEnd().endsWith('This feature is active on')) return `${writeRule(ruleOf(readPairs(asked)))}.`;
  if (asked.startsWith('Text 1: ') && asked.trimEnd().endsWith('Phrase:')) return writeRule(ruleOf(readMarked(asked)));
  return null;
}

/** What is active in the fragments, as a rule: tokens of their own, or what stands before them. */
export function ruleOf(fragments: readonly (readonly Read[])[]): Rule {
  const active = new Map<string, number>();
  const before = new Map<string, number>();
  const silent = new Set<string>();
  let total = 0;
  for (const fragment of fragments) {
    fragment.forEach(({ text, level }, t) => {
      if (level === 0) silent.add(text);
      if (level < ACTIVE) return;
      total++;
      active.set(text, (active.get(text) ?? 0) + level);
      if (t > 0) before.set(fragment[t - 1].text, (before.get(fragment[t - 1].text) ?? 0) + 1);
    });
  }
  const strongest = (counts: ReadonlyMap<string, number>): string[] => [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).map(([text]) => text);
  const tokens = strongest(active).slice(0, NAMED);
  const contexts = strongest(before).slice(0, 2);
  // A context is one when hardly anything else stands before, and it explains what the tokens alone do not: they are silent elsewhere.
  const covered = contexts.reduce((sum, text) => sum + before.get(text)!, 0);
  const context = total > 1 && covered >= 0.95 * total && tokens.some((text) => silent.has(text)) ? contexts : null;
  return { tokens: context !== null && active.size > NAMED / 2 ? null : tokens, after: context };
}

export function writeRule({ tokens, after }: Rule): string {
  const context = after === null ? '' : ` after ${list(after)}`;
  if (tokens === null) return `tokens${context}`;
  return `the token${tokens.length === 1 ? '' : 's'} ${list(tokens)}${context}`;
}

/** The rule a description of this grammar states; null for any other text. */
export function readRule(description: string): Rule | null {
  const quote = `(?:"[^"]*"|'[^']*')`;
  const tokenList = `${quote}(?:, ${quote})*(?: or ${quote})?`;
  const match = new RegExp(`^(?:the tokens? (${tokenList})|tokens)(?: after (${tokenList}))?$`, 'u').exec(description.trim());
  if (match === null || (match[1] === undefined && match[2] === undefined)) return null;
  const unlist = (text: string | undefined): string[] | null => text?.match(new RegExp(quote, 'gu'))?.map((item) => item.slice(1, -1)) ?? null;
  return { tokens: unlist(match[1]), after: unlist(match[2]) };
}

/** True when the rule says that token t of these texts is active. */
export function ruleFires({ tokens, after }: Rule, texts: readonly string[], t: number): boolean {
  return (tokens === null || tokens.includes(texts[t])) && (after === null || (t > 0 && after.includes(texts[t - 1])));
}

function list(items: readonly string[]): string {
  const quoted = items.map((item) => (item.includes('"') ? `'${item}'` : `"${item}"`));
  return quoted.length === 1 ? quoted[0] : `${quoted.slice(0, -1).join(', ')} or ${quoted.at(-1)}`;
}

/** Fragments of a token–activation prompt: lines of token, tab, level. What is repeated without zeros is not read again. */
function readPairs(prompt: string): Read[][] {
  const once = prompt.split(/\n\n[^\n]*not 0:\n/u)[0];
  return [...once.matchAll(/^<start>\n([\s\S]*?)^<end>$/gmu)].map(([, lines]) =>
    lines.split('\n').filter((line) => line.includes('\t')).map((line) => {
      const tab = line.lastIndexOf('\t');
      return { text: unescape(line.slice(0, tab)), level: Number(line.slice(tab + 1)) };
    }),
  ); // prettier-ignore
}

/** Fragments of a max-act prompt: it shows no token boundaries but those of marks, so the words (with the space before) are the tokens. */
function readMarked(prompt: string): Read[][] {
  return [...prompt.matchAll(/^Text \d+: (.*)$/gmu)].map(([, line]) => {
    const read: Read[] = [];
    for (const [, marked, plain] of line.matchAll(/(?<!\\)«((?:\\.|[^»\\])*)»|((?:\\.|[^«\\])+)/gu)) {
      const words = (marked ?? plain).match(/\\\{[^}]*\}|\\u\{[^}]*\}| ?(?:\\.|[^\s\\])[\p{L}\p{N}]*/gu) ?? [];
      for (const word of words) read.push({ text: unescape(word), level: marked === undefined ? 0 : 10 });
    }
    return read;
  });
}

function unescape(text: string): string {
  return text.replaceAll(/\\(?:u\{([\da-f]+)\}|\{bytes\}|(.))/gu, (all, code: string | undefined, short: string | undefined) => {
    if (code !== undefined) return String.fromCodePoint(Number.parseInt(code, 16));
    if (short === undefined) return '\uFFFD';
    return { n: '\n', r: '\r', t: '\t' }[short] ?? (short === '{' ? all : short);
  });
}
