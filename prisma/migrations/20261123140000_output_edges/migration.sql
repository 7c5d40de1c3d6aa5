-- Effects of features on the prediction of output tokens, as rows like the edges among features.
CREATE TABLE "output_edge" (
    "source_dictionary_id" INTEGER NOT NULL,
    "source_index" INTEGER NOT NULL,
    "model_id" INTEGER NOT NULL,
    "token_id" INTEGER NOT NULL,
    "effect" DOUBLE PRECISION NOT NULL,
    "strength" DOUBLE PRECISION NOT NULL,
    "standard_error" DOUBLE PRECISION NOT NULL,
    "n" INTEGER NOT NULL,
    "run" TEXT NOT NULL,

    CONSTRAINT "output_edge_pkey" PRIMARY KEY ("source_dictionary_id","source_index","token_id")
);
CREATE INDEX "output_edge_tokens_idx" ON "output_edge"("source_dictionary_id", "source_index", "strength" DESC, "token_id");
CREATE INDEX "output_edge_sources_idx" ON "output_edge"("model_id", "token_id", "strength" DESC, "source_dictionary_id", "source_index");

-- Tokens are named by their text.
CREATE INDEX "token_text_idx" ON "token" USING HASH ("text");
