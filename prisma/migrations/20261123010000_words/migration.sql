-- Spelling is corrected against the words that occur, not against whole descriptions: these are few, however many
-- features there are, and the corrected search then uses the full-text index.
CREATE TABLE "explanation_word" (
    "word" TEXT NOT NULL,

    CONSTRAINT "explanation_word_pkey" PRIMARY KEY ("word")
);
CREATE INDEX "explanation_word_trigram_idx" ON "explanation_word" USING GIN ("word" gin_trgm_ops);
INSERT INTO "explanation_word"
    SELECT DISTINCT w[1] FROM "explanation", regexp_matches(lower("description"), '[[:alnum:]]+', 'g') AS w WHERE length(w[1]) <= 64;
DROP INDEX "explanation_trigram_idx";

-- Signs separate words, everywhere: the parser would otherwise take "</script>", "a.b" or "x@y" for one token each.
ALTER TABLE "explanation" DROP COLUMN "search";
ALTER TABLE "explanation" ADD COLUMN "search" tsvector GENERATED ALWAYS AS (
    to_tsvector('feature_text', translate("description", '!"#$%&''()*+,-./:;<=>?@[\]^_`{|}~', '                                '))
) STORED;
CREATE INDEX "explanation_search_idx" ON "explanation" USING GIN ("search");
