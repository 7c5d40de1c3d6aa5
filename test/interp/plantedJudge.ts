import type { ChatMessage, ChatModel, ChatRequest } from '../../src/ports/ChatModel.ts';

/**
 * A judge that does what the prompts ask, by rule: it reads words in quotes from the description and says 1 where one of them stands
 * in the excerpt (between « and », where there are marks).
 */
export function judgeReply(messages: readonly ChatMessage[]): string {
  const labels = judgeLabels(messages.at(-1)!.content);
  return messages[0].content.includes('{"labels"') ? JSON.stringify({ labels }) : String(labels[0]);
}

export function judgeLabels(question: string): (0 | 1)[] {
  const [description, ...lines] = question.split('\n');
  const words = [...description.matchAll(/"([^"]+)"/g)].map(([, word]) => word);
  return lines.filter((line) => line.startsWith('Excerpt')).map((line) => {
    const text = line.slice(line.indexOf(':') + 2);
    const marked = [...text.matchAll(/«(.*?)»/g)].map(([, piece]) => piece);
    const read = marked.length > 0 ? marked.join('|') : text;
    return words.some((word) => read.includes(word)) ? 1 : 0;
  });
}

/** The judge as a ChatModel in this process, with what it was asked; `spoil` turns a reply into another one. */
export function plantedJudge({ logprobs = false, spoil }: { logprobs?: boolean; spoil?: (request: ChatRequest, reply: string) => string } = {}): ChatModel & { readonly asked: ChatRequest[] } {
  const asked: ChatRequest[] = [];
  return {
    name: 'rules',
    identity: { model: 'rules' },
    abilities: { promptLogprobs: false, replyLogprobs: logprobs },
    asked,
    chat(request) {
      asked.push(request);
      const right = judgeReply(request.messages);
      const text = spoil?.(request, right) ?? right;
      // One token a character; a digit has 0.9 and its opposite 0.1.
      const top = (sign: string): { text: string; logprob: number }[] =>
        sign === '0' || sign === '1' ? [{ text: sign, logprob: Math.log(0.9) }, { text: String(1 - Number(sign)), logprob: Math.log(0.1) }] : [{ text: sign, logprob: 0 }];
      const tokens = logprobs && request.topLogprobs !== undefined ? Array.from(text, (sign, offset) => ({ text: sign, offset, logprob: top(sign)[0].logprob, top: top(sign) })) : null;
      return Promise.resolve({ text, finish: 'stop', tokens, usage: { promptTokens: 0, completionTokens: 0, estimated: true } });
    },
    readPrompt: () => Promise.reject(new Error('a judge is not asked to read')),
    close: () => Promise.resolve(),
  };
}
