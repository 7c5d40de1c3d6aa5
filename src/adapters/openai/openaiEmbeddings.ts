import { promptBound } from '../../interp/requestBound.ts';
import type { EmbeddingModel } from '../../ports/EmbeddingModel.ts';
import { Connection, type ConnectionOptions } from './connection.ts';
import { UselessBody } from './failures.ts';

export interface OpenaiEmbeddingsOptions extends ConnectionOptions {
  /** Texts a request; default 64. */
  readonly batch?: number | undefined;
}

export interface OpenaiEmbeddings extends EmbeddingModel {
  /** Ends what is under way. */
  close(): void;
}

/** An embedding model behind the OpenAI protocol. Nothing is asked before its first use. Errors as openChatModel. */
export function openEmbeddingModel(options: OpenaiEmbeddingsOptions): OpenaiEmbeddings {
  const connection = new Connection(options);
  const { model, batch = 64 } = options;
  const ask = (texts: readonly string[]): Promise<Float32Array[]> =>
    connection.post({
      path: '/embeddings',
      // The package would ask for base64, which servers that ignore the wish answer with numbers, and it would read those as text.
      body: { model, input: texts, encoding_format: 'float' },
      attempt: 0,
      bound: { promptTokens: promptBound(texts), completionTokens: 0, estimated: true },
      parameters: [],
      read: (answer) => readVectors(answer, texts.length),
    });
  return {
    name: model,
    identity: { server: connection.server, model },
    async embed(texts) {
      const batches = Array.from({ length: Math.ceil(texts.length / batch) }, (_, b) => texts.slice(b * batch, (b + 1) * batch));
      return (await Promise.all(batches.map(ask))).flat();
    },
    close: () => connection.close(),
  };
}

interface Given {
  readonly embedding?: unknown;
  readonly index?: unknown;
}

/** Vectors of unit length in the order asked for; throws UselessBody when one is missing, none, or of another length than the rest. */
function readVectors(answer: unknown, count: number): Float32Array[] {
  const data = (answer as { data?: unknown } | null)?.data;
  if (!Array.isArray(data) || data.length !== count) throw new UselessBody(`the answer has ${Array.isArray(data) ? data.length : 'no'} vectors, expected ${count}`);
  const vectors = Array.from({ length: count }, (): Float32Array | undefined => undefined);
  (data as readonly Given[]).forEach((given, i) => {
    const { embedding, index } = given ?? {};
    // Number by number: a typed array would make 0 of null.
    if (!Array.isArray(embedding) || embedding.length === 0 || !embedding.every((x) => typeof x === 'number')) throw new UselessBody('the answer has a vector that is no list of numbers');
    vectors[typeof index === 'number' ? index : i] = unitLength(Float32Array.from(embedding as number[]));
  });
  const dims = vectors[0]?.length;
  return vectors.map((vector) => {
    if (vector === undefined || vector.length !== dims) throw new UselessBody('the vectors of the answer do not belong together');
    return vector;
  });
}

function unitLength(vector: Float32Array): Float32Array {
  const norm = Math.sqrt(vector.reduce((sum, x) => sum + x * x, 0));
  if (!(norm > 0 && Number.isFinite(norm))) throw new UselessBody('the answer has a vector without a direction');
  return vector.map((x) => x / norm);
}
