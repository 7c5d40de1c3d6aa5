import type { ChatModel } from '../ports/ChatModel.ts';
import type { EmbeddingModel } from '../ports/EmbeddingModel.ts';

/** Requests under way. When a stage stops at a failure, others may still be answered: their replies are paid for and must reach the cache before it closes. */
export class UnderWay {
  readonly #promises: Set<Promise<unknown>> = new Set();

  track<T>(promise: Promise<T>): Promise<T> {
    this.#promises.add(promise);
    const forget = (): void => void this.#promises.delete(promise);
    promise.then(forget, forget);
    return promise;
  }

  /** Returns when nothing is under way any more, whether it went well or not. */
  async settled(): Promise<void> {
    while (this.#promises.size > 0) await Promise.allSettled(this.#promises);
  }

  chat(chat: ChatModel): ChatModel {
    const { name, identity, abilities } = chat;
    return { name, identity, abilities, chat: (request) => this.track(chat.chat(request)), readPrompt: (request) => this.track(chat.readPrompt(request)), close: () => chat.close() };
  }

  embeddings({ name, identity, embed }: EmbeddingModel): EmbeddingModel {
    return { name, identity, embed: (texts) => this.track(embed(texts)) };
  }
}
