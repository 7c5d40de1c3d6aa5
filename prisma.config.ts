import { defineConfig } from 'prisma/config';

// Read by the ordinary `prisma` command (npx prisma migrate deploy, studio, …). The program itself migrates with
// src/adapters/prisma/migrate.ts, which needs no downloaded engine; the histories are the same.
export default defineConfig({
  schema: 'prisma/schema.prisma',
  migrations: { path: 'prisma/migrations' },
  ...(process.env['DATABASE_URL'] === undefined ? {} : { datasource: { url: process.env['DATABASE_URL'] } }),
});
