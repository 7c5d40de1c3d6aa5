# Image that serves the catalog (and runs every stage: `docker run … npm run catalog -- train --help`).
#   docker build -t feature-catalog .
# It listens to other machines, and so wants a key for whoever runs models, once:
#   docker run --rm -v catalog:/data feature-catalog node scripts/cli.ts keys create me --scopes read,patch
#   docker run -p 4000:4000 -v catalog:/data feature-catalog                      # embedded PostgreSQL in the volume
#   docker run -p 4000:4000 -e DATABASE_URL=postgresql://… feature-catalog        # a server of yours

FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev
COPY prisma ./prisma
COPY prisma.config.ts schema.graphql ./
COPY src ./src
COPY scripts ./scripts
COPY models ./models
RUN node scripts/generate.ts

FROM node:24-bookworm-slim
# Stopped within the 10 s that `docker stop` waits.
ENV NODE_ENV=production CATALOG_HOME=/data HOST=0.0.0.0 PORT=4000 SHUTDOWN_SECONDS=8
RUN groupadd --system catalog && useradd --system --gid catalog --home-dir /data catalog \
 && mkdir /data && chown catalog:catalog /data
WORKDIR /app
COPY --from=build /app ./
USER catalog
VOLUME /data
EXPOSE 4000
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/health`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "scripts/cli.ts", "serve"]
