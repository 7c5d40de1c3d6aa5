-- What people say of features. Their explanations are rows of "explanation" by `person/<key name>`, whose detail says who wrote them
-- and for which weights; notes and lists are here. owner: the key's id; `local` = who needs no key.
CREATE TABLE "note" (
    "id" BIGSERIAL NOT NULL,
    "dictionary_id" INTEGER NOT NULL,
    "index" INTEGER NOT NULL,
    "owner" TEXT NOT NULL,
    "author" TEXT NOT NULL,
    "public" BOOLEAN NOT NULL,
    "text" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT now(),

    CONSTRAINT "note_pkey" PRIMARY KEY ("id")
);
CREATE INDEX "note_feature_idx" ON "note"("dictionary_id", "index", "id");
ALTER TABLE "note" ADD CONSTRAINT "note_dictionary_id_fkey" FOREIGN KEY ("dictionary_id") REFERENCES "dictionary"("id") ON DELETE CASCADE ON UPDATE CASCADE;

CREATE TABLE "feature_list" (
    "id" BIGSERIAL NOT NULL,
    "owner" TEXT NOT NULL,
    "author" TEXT NOT NULL,
    "public" BOOLEAN NOT NULL,
    "name" TEXT NOT NULL,
    "description" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT now(),

    CONSTRAINT "feature_list_pkey" PRIMARY KEY ("id")
);
CREATE UNIQUE INDEX "feature_list_owner_name_key" ON "feature_list"("owner", "name");

CREATE TABLE "feature_list_entry" (
    "list_id" BIGINT NOT NULL,
    "dictionary_id" INTEGER NOT NULL,
    "index" INTEGER NOT NULL,
    "place" BIGSERIAL NOT NULL,
    "comment" TEXT,
    "added_at" TIMESTAMPTZ(3) NOT NULL DEFAULT now(),

    CONSTRAINT "feature_list_entry_pkey" PRIMARY KEY ("list_id","dictionary_id","index")
);
CREATE INDEX "feature_list_entry_place_idx" ON "feature_list_entry"("list_id", "place");
ALTER TABLE "feature_list_entry" ADD CONSTRAINT "feature_list_entry_list_id_fkey" FOREIGN KEY ("list_id") REFERENCES "feature_list"("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "feature_list_entry" ADD CONSTRAINT "feature_list_entry_dictionary_id_fkey" FOREIGN KEY ("dictionary_id") REFERENCES "dictionary"("id") ON DELETE CASCADE ON UPDATE CASCADE;
