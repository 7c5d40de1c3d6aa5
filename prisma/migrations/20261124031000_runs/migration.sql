-- Runs newest first, of all stages and of one.
CREATE INDEX "run_started_at_idx" ON "run"("started_at" DESC, "key");
CREATE INDEX "run_stage_idx" ON "run"("stage", "started_at" DESC, "key");
