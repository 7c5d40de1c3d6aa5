-- Search that ranks a bounded number of matches, however many there are.

-- Where an explanation stands among all: ascending = better explained first, in steps of 0.001 of the score (none, or one below
-- 0, counts as 0), and within a step by a fixed shuffle of (dictionary, index), so that ties favour no dictionary and a range of
-- places holds about as many rows as it is wide. 40503 and 1640531527 are odd multipliers near 2^16 and 2^32 over the golden
-- ratio's powers; nothing here passes 2^63.
ALTER TABLE "explanation" ADD COLUMN "place" BIGINT GENERATED ALWAYS AS (
    ((1000 - round(1000 * greatest(least(coalesce("best_score", 0), 1), 0)))::bigint << 32)
    | (("dictionary_id"::bigint * 40503 + "index") % 4294967296 * 1640531527 % 4294967296)
) STORED;

-- Dictionaries, explainers and places beside the lexemes in one inverted index: the server then intersects "these words" with "these
-- places" and "these dictionaries" inside it, and visits only rows that satisfy all of them. As arrays: "any of these" (operator
-- &&) is then one pass, and needs no extension. Of a place those blocks are kept that it lies in, of 2^36, 2^31, 2^26, 2^21 and
-- 2^16 places, each with its number in the lowest three bits, so that any range of places is a few dozen blocks; and, as 5, the
-- sample it is in, 0 to 1023, from bits of the shuffle (src/adapters/prisma/searchKeys.ts).
DROP INDEX "explanation_search_idx";
CREATE INDEX "explanation_search_idx" ON "explanation" USING GIN (
    "search",
    (ARRAY["place" >> 36 << 3, "place" >> 31 << 3 | 1, "place" >> 26 << 3 | 2, "place" >> 21 << 3 | 3, "place" >> 16 << 3 | 4, ("place" >> 4 & 1023) << 3 | 5]),
    (ARRAY["dictionary_id"]),
    (ARRAY["explainer"])
);

-- Words that begin with something, whatever the database's collation. They are lower case already: as an expression the index is
-- left alone by a schema language that knows no such operators.
CREATE INDEX "explanation_word_prefix_idx" ON "explanation_word" (lower("word") text_pattern_ops);
