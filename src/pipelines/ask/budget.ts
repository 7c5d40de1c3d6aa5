import { CallerError, invariant } from '../../domain/errors.ts';
import type { Usage } from '../../ports/ChatModel.ts';
import { costOf, type Prices, type TokenCount } from './estimateCost.ts';
import { Ledger, type LedgerFile, type LedgerRecord } from './ledger.ts';

export interface BudgetOptions {
  /** Most tokens, prompt and reply together; null = no limit. */
  readonly tokens: number | null;
  /** Most USD; needs prices. */
  readonly usd: number | null;
  readonly prices: Prices | null;
  /** Where spending is written down, so that it survives a kill; null = not. */
  readonly ledger: LedgerFile | null;
}

/** What was spent, for the metrics of a run. Earlier processes with the same ledger are counted, except in `hits`. */
export interface BudgetTotals extends TokenCount {
  /** Requests paid for. */
  readonly requests: number;
  /** Sendings whose answer was lost and that may have been paid for; their tokens are counted at their upper bound. */
  readonly lost: number;
  /** Requests that the cache answered, in this process. */
  readonly hits: number;
  /** Null without prices. */
  readonly usd: number | null;
  /** Share of the tokens that are upper bounds of ours, 0 to 1. */
  readonly estimatedShare: number;
}

/** A promise to spend no more than a bound; to be ended once, one way or the other. */
export interface Reservation {
  settle(usage: Usage): Promise<void>;
  /** Nothing was paid. */
  release(): Promise<void>;
}

interface Waiter {
  readonly bound: TokenCount;
  readonly atOnce: number;
  admit(): void;
  refuse(error: Error): void;
}

/**
 * Limits of what may be spent. A request is let through only when its upper bound, with all that is under way at its upper bound,
 * stays within the limits; one that does not fit only because of what is under way waits, in order, for settlements.
 */
export class Budget {
  readonly #options: BudgetOptions;
  readonly #ledger: Ledger | null;
  #spent: TokenCount = { promptTokens: 0, completionTokens: 0 };
  #underWay: TokenCount = { promptTokens: 0, completionTokens: 0 };
  #open = 0;
  #estimated = 0;
  #requests = 0;
  #lost = 0;
  #hits = 0;
  #nextId = 0;
  readonly #waiters: Waiter[] = [];

  /** Use `Budget.open`, which restores what was spent before. */
  constructor(options: BudgetOptions) {
    this.#options = options;
    this.#ledger = options.ledger === null ? null : new Ledger(options.ledger);
  }

  /** Throws BAD_INPUT when a limit is no positive number, or is of money without prices. */
  static async open(options: BudgetOptions): Promise<Budget> {
    const { tokens, usd, prices, ledger } = options;
    for (const [name, limit] of Object.entries({ tokens, usd })) {
      if (limit !== null && !(Number.isFinite(limit) && limit > 0)) throw new CallerError('BAD_INPUT', `budget: expected a positive number of ${name}, found ${limit}`);
    }
    if (usd !== null && prices === null) throw new CallerError('BAD_INPUT', 'budget: a limit of money was given but no prices; give the prices per million prompt and reply tokens, or limit the tokens instead');
    for (const price of prices === null ? [] : [prices.promptPerMillion, prices.completionPerMillion]) {
      if (!(Number.isFinite(price) && price >= 0)) throw new CallerError('BAD_INPUT', `budget: expected prices of 0 or more USD per million tokens, found ${price}`);
    }
    const budget = new Budget(options);
    if (ledger !== null) await budget.#restore(ledger);
    return budget;
  }

  /**
   * Throws BUDGET_REACHED when `bound` can no longer fit. Waits while `atOnce` reservations are open: a kill makes all that are open
   * count in full, so there should be few more than requests really sent.
   */
  async reserve(bound: TokenCount, atOnce = Infinity): Promise<Reservation> {
    await new Promise<void>((admit, refuse) => {
      this.#waiters.push({ bound, atOnce, admit, refuse });
      this.#admit();
    });
    const id = this.#nextId++;
    let open = true;
    const end = (): void => {
      invariant(open, 'a reservation was ended twice');
      open = false;
      this.#open--;
      this.#underWay = minus(this.#underWay, bound);
    };
    try {
      await this.#write({ kind: 'reserve', id, prompt: bound.promptTokens, completion: bound.completionTokens });
    } catch (error) {
      end();
      this.#admit();
      throw error;
    }
    return {
      settle: async (usage) => {
        end();
        this.#spend(usage, usage.estimated);
        this.#requests++;
        this.#admit();
        await this.#write({ kind: 'settle', id, prompt: usage.promptTokens, completion: usage.completionTokens, estimated: usage.estimated });
      },
      release: async () => {
        end();
        this.#admit();
        await this.#write({ kind: 'release', id });
      },
    };
  }

  /**
   * Counts a sending whose answer was lost (see `onLost` of the OpenAI client) at its upper bound, in addition to the reservation of
   * its request. With `again`, throws BUDGET_REACHED when sending it once more could pass the limit.
   */
  async lost(bound: TokenCount, again: boolean): Promise<void> {
    this.#spend(bound, true);
    this.#lost++;
    await this.#write({ kind: 'lost', prompt: bound.promptTokens, completion: bound.completionTokens });
    if (again && !this.#fits(plus(this.#spent, this.#underWay))) throw this.#reached(bound);
    if (!again) this.#admit();
  }

  /** Counts a request paid for earlier. */
  hit(): void {
    this.#hits++;
  }

  totals(): BudgetTotals {
    const all = this.#spent.promptTokens + this.#spent.completionTokens;
    return { ...this.#spent, requests: this.#requests, lost: this.#lost, hits: this.#hits, usd: costOf(this.#spent, this.#options.prices), estimatedShare: all === 0 ? 0 : this.#estimated / all };
  }

  #admit(): void {
    for (let first = this.#waiters[0]; first !== undefined; first = this.#waiters[0]) {
      const { bound, atOnce } = first;
      const possible = this.#fits(plus(this.#spent, bound));
      // What is under way may turn out cheaper.
      if (possible && (this.#open >= atOnce || !this.#fits(plus(plus(this.#spent, this.#underWay), bound)))) return;
      this.#waiters.shift();
      if (possible) {
        this.#open++;
        this.#underWay = plus(this.#underWay, bound);
        first.admit();
      } else {
        first.refuse(this.#reached(bound));
      }
    }
  }

  #fits(count: TokenCount): boolean {
    const { tokens, usd, prices } = this.#options;
    return (tokens === null || count.promptTokens + count.completionTokens <= tokens) && (usd === null || costOf(count, prices)! <= usd);
  }

  #spend(count: TokenCount, estimated: boolean): void {
    this.#spent = plus(this.#spent, count);
    if (estimated) this.#estimated += count.promptTokens + count.completionTokens;
  }

  async #write(record: LedgerRecord): Promise<void> {
    await this.#ledger?.append(record);
  }

  async #restore({ artefacts, path }: LedgerFile): Promise<void> {
    const open = new Map<number, TokenCount>();
    for await (const record of artefacts.readRecords<LedgerRecord>(path, { optional: true })) {
      if ('id' in record) this.#nextId = Math.max(this.#nextId, record.id + 1);
      if (record.kind === 'release') open.delete(record.id);
      else {
        const count = { promptTokens: record.prompt, completionTokens: record.completion };
        if (record.kind === 'reserve') open.set(record.id, count);
        else {
          this.#spend(count, record.kind === 'lost' || record.estimated);
          if (record.kind === 'lost') this.#lost++;
          else {
            this.#requests++;
            open.delete(record.id);
          }
        }
      }
    }
    // Sent, perhaps paid, and then the process was killed.
    for (const count of open.values()) {
      this.#spend(count, true);
      this.#lost++;
    }
  }

  #reached(next: TokenCount): CallerError {
    const { tokens, usd, prices } = this.#options;
    const say = (count: TokenCount): string => {
      const cost = costOf(count, prices);
      return `${(count.promptTokens + count.completionTokens).toLocaleString('en')} tokens${cost === null ? '' : ` (${dollars(cost)})`}`;
    };
    const limits = [...(tokens === null ? [] : [`${tokens.toLocaleString('en')} tokens`]), ...(usd === null ? [] : [dollars(usd)])].join(' and ');
    return new CallerError('BUDGET_REACHED', `the budget of ${limits} is reached: ${say(this.#spent)} are spent, the next request may need up to ${say(next)}. Raise the budget and run again: answers paid for are kept and not asked for twice`);
  }
}

function plus(a: TokenCount, b: TokenCount): TokenCount {
  return { promptTokens: a.promptTokens + b.promptTokens, completionTokens: a.completionTokens + b.completionTokens };
}

function minus(a: TokenCount, b: TokenCount): TokenCount {
  return { promptTokens: a.promptTokens - b.promptTokens, completionTokens: a.completionTokens - b.completionTokens };
}

function dollars(usd: number): string {
  return `$${usd >= 1 ? usd.toFixed(2) : usd.toPrecision(2)}`;
}
