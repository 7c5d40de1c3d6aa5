-- Search that ranks a bounded number of matches, however many there are.

-- Lets one inverted index hold scalars beside lexemes: the server then intersects "these words" with "this band of scores",
-- "these dictionaries" and "this sample" inside the index, and visits only rows that satisfy all of them.
CREATE EXTENSION IF NOT EXISTS btree_gin;

-- Where an explanation stands among all: ascending = better explained first, in steps of 0.001 of the score (none, or one below
-- 0, counts as 0), and within a step by a fixed shuffle of (dictionary, index), so that ties favour no dictionary and a range of
-- places holds about as many rows as it is wide. 40503 and 1640531527 are odd multipliers near 2^16 and 2^32 over the golden
-- ratio's powers; nothing here passes 2^63.
ALTER TABLE "explanation" ADD COLUMN "place" BIGINT GENERATED ALWAYS AS (
    ((1000 - round(1000 * greatest(least(coalesce("best_score", 0), 1), 0)))::bigint << 32)
    | (("dictionary_id"::bigint * 40503 + "index") % 4294967296 * 1640531527 % 4294967296)
) STORED;

-- Arrays of one: "any of these" is then one pass over the index (operator &&), not one for each. The last expression is the sample
-- an explanation is in, 0 to 1023, from other bits of the shuffle.
DROP INDEX "explanation_search_idx";
CREATE INDEX "explanation_search_idx" ON "explanation" USING GIN ("search", "place", (ARRAY["dictionary_id"]), (ARRAY["explainer"]), ((("place" >> 8) & 1023)::smallint));

-- Words that begin with something, whatever the database's collation. They are lower case already: as an expression the index is
-- left alone by a schema language that knows no such operators.
CREATE INDEX "explanation_word_prefix_idx" ON "explanation_word" (lower("word") text_pattern_ops);
