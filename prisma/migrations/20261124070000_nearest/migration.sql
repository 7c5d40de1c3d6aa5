-- Nearest features of every feature in every other dictionary of its model, by cosine of decoder directions. Written by `load` from
-- runs of the nearest stage. A pair holds for the weights it was measured on, which it names; whoever reads compares them.
CREATE TABLE "nearest_pair" (
    "dictionary_id" INTEGER NOT NULL,
    "target_dictionary_id" INTEGER NOT NULL,
    "weights_hash" TEXT NOT NULL,
    "target_weights_hash" TEXT NOT NULL,
    "run" TEXT NOT NULL,

    CONSTRAINT "nearest_pair_pkey" PRIMARY KEY ("dictionary_id", "target_dictionary_id"),
    CONSTRAINT "nearest_pair_dictionary_id_fkey" FOREIGN KEY ("dictionary_id") REFERENCES "dictionary"("id") ON DELETE CASCADE ON UPDATE CASCADE,
    CONSTRAINT "nearest_pair_target_dictionary_id_fkey" FOREIGN KEY ("target_dictionary_id") REFERENCES "dictionary"("id") ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX "nearest_pair_target_dictionary_id_idx" ON "nearest_pair"("target_dictionary_id");

-- One row a feature and other dictionary: about 60 bytes, and 8 a neighbour.
CREATE TABLE "nearest_feature" (
    "dictionary_id" INTEGER NOT NULL,
    "index" INTEGER NOT NULL,
    "target_dictionary_id" INTEGER NOT NULL,
    "entries" BYTEA NOT NULL,

    CONSTRAINT "nearest_feature_pkey" PRIMARY KEY ("dictionary_id", "index", "target_dictionary_id")
);
