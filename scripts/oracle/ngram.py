"""Interpolated modified Kneser-Ney n-gram models of order 1 to 3 over token rows (Chen & Goodman 1999, section 4).

The highest order uses counts, the lower ones continuation counts (in how many distinct contexts an n-gram was seen); each
order has three discounts, for counts 1, 2 and 3 or more, estimated from counts of counts. The unigram is interpolated with
the uniform distribution, so every token has positive probability.
"""
import numpy as np


class Order:
    """One order: keys (context * V + token) with counts, and per context the total and the discounted-away mass."""

    def __init__(self, keys: np.ndarray, counts: np.ndarray, vocabulary: int):
        self.keys, self.counts = keys, counts.astype(np.float64)
        n = [float((counts == c).sum()) for c in (1, 2, 3, 4)]
        if min(n) > 0:
            y = n[0] / (n[0] + 2 * n[1])
            discounts = [c - (c + 1) * y * n[c] / n[c - 1] for c in (1, 2, 3)]
        else:  # too little or too regular a text for the estimate
            discounts = [0.5, 0.75, 1.0]
        self.discount = np.clip(np.asarray([0.0, *discounts]), [0.0, 0.05, 0.05, 0.05], [0.0, 0.99, 1.99, 2.99])[np.minimum(counts, 3)]
        self.contexts, first = np.unique(keys // vocabulary, return_index=True)
        self.total = np.add.reduceat(self.counts, first)
        self.spare = np.add.reduceat(self.discount, first)

    def parts(self, context: np.ndarray, key: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Discounted relative frequency of each key, and the weight of the next lower order (1 for an unseen context)."""
        at, found = look_up(self.keys, key)
        c_at, c_found = look_up(self.contexts, context)
        total = np.where(c_found, self.total[c_at], 1.0)
        own = np.where(found & c_found, (self.counts[at] - self.discount[at]) / total, 0.0)
        return own, np.where(c_found, self.spare[c_at] / total, 1.0)


def look_up(table: np.ndarray, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    at = np.minimum(np.searchsorted(table, keys), len(table) - 1)
    return at, table[at] == keys


class KneserNey:
    """Fitted on rows [N, T] of token ids; an n-gram never crosses a row's start."""

    def __init__(self, rows: np.ndarray, order: int, vocabulary: int):
        self.order, self.vocabulary = order, vocabulary
        rows = rows.astype(np.int64)
        grams = [np.zeros(0, dtype=np.int64)] * 4
        grams[1] = rows[:, 1:].ravel()  # the first token of a row is given, not predicted
        for n in range(2, order + 1):
            grams[n] = self.key(rows, n).ravel()
        distinct, counts = np.unique(grams[order], return_counts=True)
        self.orders: list[Order] = [Order(distinct, counts, vocabulary)] if order > 1 else []
        for n in range(order - 1, 1, -1):  # continuation: distinct longer n-grams that end with this one
            distinct, counts = np.unique(distinct % vocabulary**n, return_counts=True)
            self.orders.append(Order(distinct, counts, vocabulary))
        ends = distinct % vocabulary if order > 1 else grams[1]
        counts = np.bincount(ends, minlength=vocabulary).astype(np.float64)
        self.unigram = (counts + 0.5) / (counts + 0.5).sum()

    def key(self, rows: np.ndarray, n: int) -> np.ndarray:
        """Keys of all n-grams of the rows, [N, T - n + 1]."""
        length = rows.shape[1] - n + 1
        key = np.zeros((rows.shape[0], length), dtype=np.int64)
        for i in range(n):
            key = key * self.vocabulary + rows[:, i:i + length]
        return key

    def probability(self, context: np.ndarray, token: np.ndarray, known: np.ndarray) -> np.ndarray:
        """P(token | context [.., 2]); `known` is how many of the context's tokens exist (1 at a row's second token)."""
        p = self.unigram[token]
        for order, n in zip(reversed(self.orders), range(2, self.order + 1)):
            key = np.zeros_like(token)
            for i in range(n - 1):
                key = key * self.vocabulary + context[..., 2 - (n - 1) + i]
            own, weight = order.parts(key, key * self.vocabulary + token)
            p = np.where(known >= n - 1, own + weight * p, p)
        return p

    def contexts(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows = rows.astype(np.int64)
        before = np.concatenate([np.zeros((len(rows), 1), dtype=np.int64), rows], axis=1)
        context = np.stack([before[:, :-2], before[:, 1:-1]], axis=-1)  # for tokens 1.. of the row
        known = np.minimum(np.arange(1, rows.shape[1]), 2)[None].repeat(len(rows), 0)
        return context, known

    def log_probability(self, rows: np.ndarray) -> np.ndarray:
        """log P of tokens 1.. of each row, [N, T - 1], in nats."""
        context, known = self.contexts(rows)
        return np.log(self.probability(context, rows[:, 1:].astype(np.int64), known))

    def mass(self, rows: np.ndarray, tokens: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Summed probability of `tokens` at the given flat positions of [N, T - 1]."""
        context, known = self.contexts(rows)
        context, known = context.reshape(-1, 2)[positions], known.ravel()[positions]
        total = np.zeros(len(positions))
        for token in tokens:
            total += self.probability(context, np.full(len(positions), token, dtype=np.int64), known)
        return total


if __name__ == "__main__":  # self-check: probabilities sum to one, and every order beats the lower one on its own kind of text
    rng = np.random.default_rng(0)
    V = 12
    chain = rng.dirichlet(np.full(V, 0.3), size=(V, V))
    def sample(n):
        rows = np.zeros((n, 40), dtype=np.int64)
        for t in range(2, 40):
            cumulative = chain[rows[:, t - 2], rows[:, t - 1]].cumsum(-1)
            rows[:, t] = np.minimum((rng.random((n, 1)) > cumulative).sum(-1), V - 1)
        return rows
    train, test = sample(400), sample(50)
    loss = []
    for order in (1, 2, 3):
        model = KneserNey(train, order, V)
        assert np.allclose(model.mass(test, np.arange(V), np.arange(500)), 1.0), order
        loss.append(-model.log_probability(test).mean())
    assert loss[0] > loss[1] > loss[2], loss
    print("losses of orders 1, 2, 3:", loss)
