-- Tokens each feature fires on, from its exemplars. Written by `load`: exemplars are packed bytes, which SQL does not read, so
-- dictionaries loaded before this have none until they are loaded again.
CREATE TABLE "feature_token" (
    "dictionary_id" INTEGER NOT NULL,
    "index" INTEGER NOT NULL,
    "token_id" INTEGER NOT NULL,
    "activation" DOUBLE PRECISION NOT NULL,
    "share" DOUBLE PRECISION NOT NULL,
    "count" INTEGER NOT NULL,

    CONSTRAINT "feature_token_pkey" PRIMARY KEY ("dictionary_id", "index", "token_id")
);
CREATE INDEX "feature_token_token_idx" ON "feature_token"("dictionary_id", "token_id", "share" DESC, "index");
