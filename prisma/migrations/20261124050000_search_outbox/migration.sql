-- What a search index beside the database has yet to be told. Filled by triggers in the transaction of the change itself, so that
-- nothing is lost while the search server is down; coalesced, so that it holds a row for each feature and dictionary at most.
CREATE TABLE "search_outbox" (
    "dictionary_id" INTEGER NOT NULL,
    -- -1 = the whole dictionary.
    "index" INTEGER NOT NULL,
    "revision" BIGSERIAL NOT NULL,
    "sent" BOOLEAN NOT NULL DEFAULT false,
    "claim" BIGINT,
    "claimed_until" TIMESTAMPTZ(3),

    CONSTRAINT "search_outbox_pkey" PRIMARY KEY ("dictionary_id","index")
);
CREATE INDEX "search_outbox_revision_idx" ON "search_outbox"("revision");

CREATE TABLE "search_build" (
    "id" INTEGER NOT NULL,
    "paused" BOOLEAN NOT NULL DEFAULT false,
    "started_at" TIMESTAMPTZ(3) NOT NULL DEFAULT now(),

    CONSTRAINT "search_build_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "catalog_identity" (
    "id" UUID NOT NULL DEFAULT gen_random_uuid(),

    CONSTRAINT "catalog_identity_pkey" PRIMARY KEY ("id")
);
INSERT INTO "catalog_identity" DEFAULT VALUES;

-- "changed": the rows of "explanation" that a statement wrote or removed. Many of one dictionary are noted as the dictionary.
CREATE FUNCTION "note_explanations"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO "search_outbox" ("dictionary_id", "index")
    SELECT n."dictionary_id", i."index"
    FROM (SELECT "dictionary_id", count(*) AS rows FROM changed GROUP BY 1) n
    CROSS JOIN LATERAL (
        SELECT -1 AS "index" WHERE n.rows > 100
        UNION ALL
        SELECT DISTINCT c."index" FROM changed c WHERE n.rows <= 100 AND c."dictionary_id" = n."dictionary_id"
    ) i
    -- In one order: whoever notes the same rows at the same time waits, and neither for ever.
    ORDER BY 1, 2
    ON CONFLICT ("dictionary_id", "index") DO UPDATE SET "revision" = excluded."revision", "sent" = false;
    RETURN NULL;
END $$;
CREATE TRIGGER "note_inserted" AFTER INSERT ON "explanation" REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION "note_explanations"();
CREATE TRIGGER "note_updated" AFTER UPDATE ON "explanation" REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION "note_explanations"();
CREATE TRIGGER "note_deleted" AFTER DELETE ON "explanation" REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION "note_explanations"();

-- The index holds a dictionary's name, model and layer beside each explanation.
CREATE FUNCTION "note_dictionary"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO "search_outbox" ("dictionary_id", "index") VALUES (coalesce(NEW."id", OLD."id"), -1)
    ON CONFLICT ("dictionary_id", "index") DO UPDATE SET "revision" = excluded."revision", "sent" = false;
    RETURN NULL;
END $$;
CREATE TRIGGER "note_dictionary" AFTER INSERT OR UPDATE OR DELETE ON "dictionary" FOR EACH ROW EXECUTE FUNCTION "note_dictionary"();
