-- Features by whether they have edges, by who explained them, and by a given instrument's score: each an index range.

-- Bits: 1 has incoming edges, 2 has outgoing edges, 4 has effects on tokens. Kept by the writer, with the edges themselves.
ALTER TABLE "feature" ADD COLUMN "edges" SMALLINT NOT NULL DEFAULT 0;
UPDATE "feature" f SET "edges" = have.bits
    FROM (
        SELECT d, i, bit_or(bit)::smallint AS bits FROM (
            SELECT "target_dictionary_id" AS d, "target_index" AS i, 1 AS bit FROM "circuit_edge" GROUP BY 1, 2
            UNION ALL SELECT "source_dictionary_id", "source_index", 2 FROM "circuit_edge" GROUP BY 1, 2
            UNION ALL SELECT "source_dictionary_id", "source_index", 4 FROM "output_edge" GROUP BY 1, 2
        ) ends GROUP BY 1, 2
    ) have
    WHERE f."dictionary_id" = have.d AND f."index" = have.i;
CREATE INDEX "feature_flags_idx" ON "feature"("dictionary_id", "explained", "edges", "index");

CREATE INDEX "explanation_explainer_idx" ON "explanation"("dictionary_id", "explainer", "index");

-- Which explainer's words, by which instrument, judged by whom: one number instead of three names, which would be most of the index.
-- Equal names give equal numbers in every dictionary.
CREATE FUNCTION "score_group"(explainer TEXT, scorer TEXT, judge TEXT) RETURNS BIGINT LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
    RETURN hashtextextended(explainer || chr(31) || scorer || chr(31) || judge, 0);
CREATE INDEX "score_value_idx" ON "score"("dictionary_id", "score_group"("explainer", "scorer", "judge"), "value" DESC, "index") WHERE "value" IS NOT NULL;
