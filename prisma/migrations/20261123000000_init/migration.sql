-- The first tables of the catalog. Table and column comments are in prisma/schema.prisma.

-- Similar spelling, for searches in which no word matches.
CREATE EXTENSION IF NOT EXISTS pg_trgm;

-- English stems, but no stop words: descriptions are about tokens such as "the" and "of".
CREATE TEXT SEARCH DICTIONARY feature_stem (TEMPLATE = snowball, LANGUAGE = english);
CREATE TEXT SEARCH CONFIGURATION feature_text (COPY = pg_catalog.english);
ALTER TEXT SEARCH CONFIGURATION feature_text ALTER MAPPING REPLACE pg_catalog.english_stem WITH feature_stem;

-- CreateTable
CREATE TABLE "model" (
    "id" SERIAL NOT NULL,
    "name" TEXT NOT NULL,
    "architecture" TEXT NOT NULL,
    "layers" INTEGER NOT NULL,
    "d_model" INTEGER NOT NULL,
    "vocab_size" INTEGER NOT NULL,
    "context_length" INTEGER NOT NULL,
    "parameters" BIGINT NOT NULL,
    "weights_hash" TEXT NOT NULL,
    "tokenizer_hash" TEXT NOT NULL,
    "source" TEXT NOT NULL,

    CONSTRAINT "model_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "token" (
    "model_id" INTEGER NOT NULL,
    "id" INTEGER NOT NULL,
    "text" TEXT NOT NULL,

    CONSTRAINT "token_pkey" PRIMARY KEY ("model_id","id")
);

-- CreateTable
CREATE TABLE "run" (
    "key" TEXT NOT NULL,
    "stage" TEXT NOT NULL,
    "params" JSON NOT NULL,
    "inputs" JSON NOT NULL,
    "seed" BIGINT NOT NULL,
    "code_version" TEXT NOT NULL,
    "started_at" TIMESTAMPTZ(3) NOT NULL,
    "finished_at" TIMESTAMPTZ(3),
    "metrics" JSON NOT NULL,

    CONSTRAINT "run_pkey" PRIMARY KEY ("key")
);

-- CreateTable
CREATE TABLE "dictionary" (
    "id" SERIAL NOT NULL,
    "model_id" INTEGER NOT NULL,
    "name" TEXT NOT NULL,
    "hook_point" TEXT NOT NULL,
    "layer" INTEGER NOT NULL,
    "architecture" TEXT NOT NULL,
    "d_in" INTEGER NOT NULL,
    "n_features" INTEGER NOT NULL,
    "l1" DOUBLE PRECISION,
    "input_scale" DOUBLE PRECISION NOT NULL,
    "weights_hash" TEXT NOT NULL,
    "location" TEXT NOT NULL,
    "fvu" DOUBLE PRECISION,
    "l0" DOUBLE PRECISION,
    "alive_share" DOUBLE PRECISION,
    "quality_vectors" BIGINT,
    "train_run" TEXT NOT NULL,
    "analyse_run" TEXT,
    "explain_run" TEXT,
    "tokens_analysed" BIGINT,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "dictionary_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "feature" (
    "dictionary_id" INTEGER NOT NULL,
    "index" INTEGER NOT NULL,
    "density" DOUBLE PRECISION NOT NULL,
    "max_activation" DOUBLE PRECISION NOT NULL,
    "mean_activation" DOUBLE PRECISION,
    "histogram" BYTEA NOT NULL,
    "top_logits" BYTEA NOT NULL,
    "bottom_logits" BYTEA NOT NULL,
    "neighbours" BYTEA NOT NULL,
    "best_score" DOUBLE PRECISION,
    "explained" BOOLEAN NOT NULL,
    "skip_reason" TEXT,

    CONSTRAINT "feature_pkey" PRIMARY KEY ("dictionary_id","index")
);

-- CreateTable
CREATE TABLE "exemplar" (
    "dictionary_id" INTEGER NOT NULL,
    "index" INTEGER NOT NULL,
    "kind" SMALLINT NOT NULL,
    "count" SMALLINT NOT NULL,
    "windows" BYTEA NOT NULL,

    CONSTRAINT "exemplar_pkey" PRIMARY KEY ("dictionary_id","index","kind")
);

-- CreateTable
CREATE TABLE "explanation" (
    "dictionary_id" INTEGER NOT NULL,
    "index" INTEGER NOT NULL,
    "explainer" TEXT NOT NULL,
    "description" TEXT NOT NULL,
    "detail" JSON NOT NULL,
    "run" TEXT NOT NULL,
    "best_score" DOUBLE PRECISION,
    "search" tsvector GENERATED ALWAYS AS (
        -- Brackets and ampersands become spaces: the parser would take what stands between them for markup and drop it.
        to_tsvector('feature_text', translate("description", '<>&', '   '))
    ) STORED,

    CONSTRAINT "explanation_pkey" PRIMARY KEY ("dictionary_id","index","explainer")
);

-- CreateTable
CREATE TABLE "score" (
    "dictionary_id" INTEGER NOT NULL,
    "index" INTEGER NOT NULL,
    "explainer" TEXT NOT NULL,
    "scorer" TEXT NOT NULL,
    "value" DOUBLE PRECISION,
    "undefined_reason" TEXT,
    "n" INTEGER NOT NULL,
    "low" DOUBLE PRECISION,
    "high" DOUBLE PRECISION,

    CONSTRAINT "score_pkey" PRIMARY KEY ("dictionary_id","index","explainer","scorer")
);

-- CreateTable
CREATE TABLE "circuit_edge" (
    "target_dictionary_id" INTEGER NOT NULL,
    "target_index" INTEGER NOT NULL,
    "source_dictionary_id" INTEGER NOT NULL,
    "source_index" INTEGER NOT NULL,
    "effect" DOUBLE PRECISION NOT NULL,
    "strength" DOUBLE PRECISION NOT NULL,
    "standard_error" DOUBLE PRECISION NOT NULL,
    "n" INTEGER NOT NULL,
    "run" TEXT NOT NULL,

    CONSTRAINT "circuit_edge_pkey" PRIMARY KEY ("target_dictionary_id","target_index","source_dictionary_id","source_index")
);

-- CreateTable
CREATE TABLE "patch_run" (
    "id" TEXT NOT NULL,
    "input" JSON NOT NULL,
    "result" JSON NOT NULL,
    "weights_hash" TEXT NOT NULL,
    "code_version" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "milliseconds" DOUBLE PRECISION NOT NULL,

    CONSTRAINT "patch_run_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "model_name_key" ON "model"("name");

-- CreateIndex
CREATE INDEX "dictionary_train_run_idx" ON "dictionary"("train_run");

-- CreateIndex
CREATE INDEX "dictionary_analyse_run_idx" ON "dictionary"("analyse_run");

-- CreateIndex
CREATE INDEX "dictionary_explain_run_idx" ON "dictionary"("explain_run");

-- CreateIndex
CREATE UNIQUE INDEX "dictionary_model_id_name_key" ON "dictionary"("model_id", "name");

-- CreateIndex
CREATE INDEX "feature_density_idx" ON "feature"("dictionary_id", "density", "index");

-- CreateIndex
CREATE INDEX "feature_density_desc_idx" ON "feature"("dictionary_id", "density" DESC, "index");

-- CreateIndex
CREATE INDEX "feature_max_activation_idx" ON "feature"("dictionary_id", "max_activation" DESC, "index");

-- CreateIndex
CREATE INDEX "feature_best_score_idx" ON "feature"("dictionary_id", "best_score" DESC NULLS LAST, "index");

-- CreateIndex
CREATE INDEX "explanation_search_idx" ON "explanation" USING GIN ("search");

-- CreateIndex
CREATE INDEX "explanation_trigram_idx" ON "explanation" USING GIN ("description" gin_trgm_ops);

-- CreateIndex
CREATE INDEX "circuit_edge_incoming_idx" ON "circuit_edge"("target_dictionary_id", "target_index", "strength" DESC, "source_dictionary_id", "source_index");

-- CreateIndex
CREATE INDEX "circuit_edge_outgoing_idx" ON "circuit_edge"("source_dictionary_id", "source_index", "strength" DESC, "target_dictionary_id", "target_index");

-- AddForeignKey
ALTER TABLE "token" ADD CONSTRAINT "token_model_id_fkey" FOREIGN KEY ("model_id") REFERENCES "model"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "dictionary" ADD CONSTRAINT "dictionary_model_id_fkey" FOREIGN KEY ("model_id") REFERENCES "model"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "dictionary" ADD CONSTRAINT "dictionary_train_run_fkey" FOREIGN KEY ("train_run") REFERENCES "run"("key") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "dictionary" ADD CONSTRAINT "dictionary_analyse_run_fkey" FOREIGN KEY ("analyse_run") REFERENCES "run"("key") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "dictionary" ADD CONSTRAINT "dictionary_explain_run_fkey" FOREIGN KEY ("explain_run") REFERENCES "run"("key") ON DELETE RESTRICT ON UPDATE CASCADE;
