import type { ChatRequest } from '../../ports/ChatModel.ts';

/** How strictly a server holds replies to a JSON schema, best first. */
const SCHEMA_LEVELS = ['strict', 'loose', 'object', 'none'] as const;

/** What a server was found to understand. JSON, so that it can be kept. */
export interface Dialect {
  /** Names it is told the reply's limit by: hosted models know the newer one only, some servers the older one only, others want either. */
  readonly limits: readonly ('max_completion_tokens' | 'max_tokens')[];
  readonly temperature: boolean;
  readonly seed: boolean;
  readonly logprobs: boolean;
  readonly schema: (typeof SCHEMA_LEVELS)[number];
  /** Most alternatives per token. */
  readonly topLogprobs: number;
  /** Tokens it must say after reading a prompt. */
  readonly readTokens: 0 | 1;
}

/** What is tried first. Where both names of the limit are known only one is needed, but a server that ignores the one it does not know would write on and on. */
export function firstDialect(server: string): Dialect {
  const hosted = /^https:\/\/[^/]*\.openai\.(?:azure\.)?com\//.test(`${server}/`);
  return { limits: hosted ? ['max_completion_tokens'] : ['max_completion_tokens', 'max_tokens'], temperature: true, seed: true, logprobs: true, schema: 'strict', topLogprobs: 20, readTokens: 0 };
}

/** Parameters of a chat that can be changed or left out when refused. */
export const CHAT_PARAMETERS = ['max_completion_tokens', 'max_tokens', 'temperature', 'seed', 'top_logprobs', 'logprobs', 'response_format', 'json_schema'];
/** The same for reading a prompt. */
export const READ_PARAMETERS = ['max_tokens', 'logprobs'];

/** Another dialect without a parameter that was refused in a chat; null when nothing can be changed. */
export function withoutInChat(dialect: Dialect, parameter: string, request: Pick<ChatRequest, 'topLogprobs'>): Dialect | null {
  switch (parameter) {
    case 'max_completion_tokens':
    case 'max_tokens': {
      const limits = dialect.limits.filter((name) => name !== parameter);
      return limits.length > 0 && limits.length < dialect.limits.length ? { ...dialect, limits } : null;
    }
    case 'temperature': return dialect.temperature ? { ...dialect, temperature: false } : null;
    case 'seed': return dialect.seed ? { ...dialect, seed: false } : null;
    case 'top_logprobs':
    case 'logprobs': {
      if (parameter === 'top_logprobs' && Math.min(request.topLogprobs ?? 0, dialect.topLogprobs) > FEW) return { ...dialect, topLogprobs: FEW };
      return dialect.logprobs ? { ...dialect, logprobs: false } : null;
    }
    case 'response_format':
    case 'json_schema': {
      const schema = SCHEMA_LEVELS[SCHEMA_LEVELS.indexOf(dialect.schema) + 1];
      return schema === undefined ? null : { ...dialect, schema };
    }
    default: return null;
  } // prettier-ignore
}

/** The same for reading a prompt with `topLogprobs` alternatives. */
export function withoutInRead(dialect: Dialect, parameter: string, topLogprobs: number): Dialect | null {
  if (parameter === 'max_tokens') return dialect.readTokens === 0 ? { ...dialect, readTokens: 1 } : null;
  if (parameter === 'logprobs' && Math.min(topLogprobs, dialect.topLogprobs) > FEW) return { ...dialect, topLogprobs: FEW };
  return null;
}

/** Alternatives that the strictest servers give. */
const FEW = 5;
