-- Several explainers may describe a feature, and several judges score a description. What there is so far is the pattern
-- explainer's, which judged itself, and did not say which text it was made from or measured on.
ALTER TABLE "explanation" ADD COLUMN "model" TEXT, ADD COLUMN "prompt_version" TEXT, ADD COLUMN "fragments" BYTEA NOT NULL DEFAULT '';
ALTER TABLE "explanation" ALTER COLUMN "fragments" DROP DEFAULT;

ALTER TABLE "score" ADD COLUMN "judge" TEXT NOT NULL DEFAULT 'pattern-v1', ADD COLUMN "prompt_version" TEXT, ADD COLUMN "fragments" BYTEA NOT NULL DEFAULT '';
ALTER TABLE "score" ALTER COLUMN "judge" DROP DEFAULT, ALTER COLUMN "fragments" DROP DEFAULT;
ALTER TABLE "score" DROP CONSTRAINT "score_pkey", ADD CONSTRAINT "score_pkey" PRIMARY KEY ("dictionary_id", "index", "explainer", "scorer", "judge");

-- CreateTable
CREATE TABLE "explanation_skip" (
    "dictionary_id" INTEGER NOT NULL,
    "index" INTEGER NOT NULL,
    "explainer" TEXT NOT NULL,
    "reason" TEXT NOT NULL,
    "run" TEXT NOT NULL,

    CONSTRAINT "explanation_skip_pkey" PRIMARY KEY ("dictionary_id","index","explainer")
);
INSERT INTO "explanation_skip"
    SELECT f."dictionary_id", f."index", 'pattern-v1', f."skip_reason", d."explain_run"
    FROM "feature" f JOIN "dictionary" d ON d."id" = f."dictionary_id" WHERE f."skip_reason" IS NOT NULL AND d."explain_run" IS NOT NULL;
ALTER TABLE "feature" DROP COLUMN "skip_reason";

-- CreateTable
CREATE TABLE "explanation_summary" (
    "dictionary_id" INTEGER NOT NULL,
    "explainer" TEXT NOT NULL,
    "run" TEXT NOT NULL,
    "features" INTEGER NOT NULL,
    "explained" INTEGER NOT NULL,
    "skips" JSONB NOT NULL,
    "scores" JSONB NOT NULL,

    CONSTRAINT "explanation_summary_pkey" PRIMARY KEY ("dictionary_id","explainer")
);
CREATE INDEX "explanation_summary_run_idx" ON "explanation_summary"("run");
ALTER TABLE "explanation_summary" ADD CONSTRAINT "explanation_summary_dictionary_id_fkey" FOREIGN KEY ("dictionary_id") REFERENCES "dictionary"("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "explanation_summary" ADD CONSTRAINT "explanation_summary_run_fkey" FOREIGN KEY ("run") REFERENCES "run"("key") ON DELETE RESTRICT ON UPDATE CASCADE;

-- What an explainer's rows come to. Every mean beside its coverage: features skipped or without a defined score count as 0 in `zero`.
-- Half-widths are those of 95 % intervals, 1.96 sd / sqrt(n), null below two values.
CREATE FUNCTION "explanation_summary_of"(IN of_dictionary INTEGER, IN of_explainer TEXT, OUT "features" INTEGER, OUT "explained" INTEGER, OUT "skips" JSONB, OUT "scores" JSONB)
LANGUAGE sql STABLE AS $$
    WITH skipped AS (
        SELECT "reason", count(*)::int AS n FROM "explanation_skip" WHERE "dictionary_id" = of_dictionary AND "explainer" = of_explainer GROUP BY 1
    ), described AS (
        SELECT count(*)::int AS n FROM "explanation" WHERE "dictionary_id" = of_dictionary AND "explainer" = of_explainer
    ), asked AS (
        SELECT described.n + coalesce((SELECT sum(skipped.n) FROM skipped), 0)::int AS n FROM described
    ), reasons AS (
        SELECT "scorer", "judge", "undefined_reason" AS reason, count(*)::int AS n FROM "score"
        WHERE "dictionary_id" = of_dictionary AND "explainer" = of_explainer AND "value" IS NULL GROUP BY 1, 2, 3
    ), measured AS (
        SELECT "scorer", "judge", count("value")::int AS n, avg("value") AS mean, stddev_samp("value") AS sd,
            coalesce(sum("value"), 0) AS total, coalesce(sum("value" * "value"), 0) AS squares
        FROM "score" WHERE "dictionary_id" = of_dictionary AND "explainer" = of_explainer GROUP BY 1, 2
    )
    SELECT asked.n, described.n,
        coalesce((SELECT jsonb_agg(jsonb_build_object('reason', reason, 'count', skipped.n) ORDER BY skipped.n DESC, reason) FROM skipped), '[]'),
        coalesce((SELECT jsonb_agg(jsonb_build_object(
            'scorer', m."scorer", 'judge', m."judge", 'n', m.n, 'mean', m.mean, 'halfWidth', 1.96 * m.sd / sqrt(m.n),
            'zero', jsonb_build_object('n', asked.n, 'mean', m.total / asked.n, 'halfWidth',
                CASE WHEN asked.n > 1 THEN 1.96 * sqrt(greatest(0, m.squares - m.total * m.total / asked.n) / (asked.n - 1) / asked.n) END),
            'undefined', coalesce((SELECT jsonb_agg(jsonb_build_object('reason', r.reason, 'count', r.n) ORDER BY r.n DESC, r.reason)
                FROM reasons r WHERE r."scorer" = m."scorer" AND r."judge" = m."judge"), '[]')
            ) ORDER BY m."scorer", m."judge") FROM measured m), '[]')
    FROM asked, described
$$;
INSERT INTO "explanation_summary"
    SELECT d."id", 'pattern-v1', d."explain_run", s.* FROM "dictionary" d CROSS JOIN LATERAL "explanation_summary_of"(d."id", 'pattern-v1') s
    WHERE d."explain_run" IS NOT NULL;

-- The summaries say which runs explained.
ALTER TABLE "dictionary" DROP COLUMN "explain_run";
