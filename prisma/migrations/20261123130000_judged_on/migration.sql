-- Many scores are measured on the same text: an explanation holds each list of fragments once, a score says which.
ALTER TABLE "explanation" ADD COLUMN "judged_on" BYTEA[];
ALTER TABLE "score" ADD COLUMN "judged_on" SMALLINT;
UPDATE "explanation" e SET "judged_on" = coalesce(
    (SELECT array_agg(DISTINCT s."fragments") FROM "score" s WHERE s."dictionary_id" = e."dictionary_id" AND s."index" = e."index" AND s."explainer" = e."explainer"), '{}');
UPDATE "score" s SET "judged_on" = array_position(e."judged_on", s."fragments") - 1
    FROM "explanation" e WHERE s."dictionary_id" = e."dictionary_id" AND s."index" = e."index" AND s."explainer" = e."explainer";
ALTER TABLE "explanation" ALTER COLUMN "judged_on" SET NOT NULL;
ALTER TABLE "score" ALTER COLUMN "judged_on" SET NOT NULL, DROP COLUMN "fragments";
