-- Who may do what, and who spent how much. A key's secret is 32 random bytes: its plain SHA-256 cannot be guessed backwards, and is
-- looked up by index.
CREATE TABLE "api_key" (
    "id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "secret_hash" BYTEA NOT NULL,
    "scopes" TEXT[] NOT NULL,
    "models" TEXT[] NOT NULL,
    "quota" BIGINT,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT now(),
    "revoked_at" TIMESTAMPTZ(3),

    CONSTRAINT "api_key_pkey" PRIMARY KEY ("id")
);
CREATE UNIQUE INDEX "api_key_name_key" ON "api_key"("name");
CREATE UNIQUE INDEX "api_key_secret_hash_key" ON "api_key"("secret_hash");

-- Cost units of a UTC day; the latest day says when a key was last used, no more precisely than that.
CREATE TABLE "api_key_use" (
    "key_id" TEXT NOT NULL,
    "day" DATE NOT NULL,
    "cost" BIGINT NOT NULL,

    CONSTRAINT "api_key_use_pkey" PRIMARY KEY ("key_id","day")
);
ALTER TABLE "api_key_use" ADD CONSTRAINT "api_key_use_key_id_fkey" FOREIGN KEY ("key_id") REFERENCES "api_key"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- A restricted model, with all that is known of it, exists only for keys it is granted to.
ALTER TABLE "model" ADD COLUMN "restricted" BOOLEAN NOT NULL DEFAULT false;
