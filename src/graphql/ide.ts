import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { Router, type NextFunction, type Request, type Response } from 'express';
import type { Access } from '../catalog/access.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { exampleSubject } from '../catalog/exampleSubject.ts';
import { strangersCatalog } from './authenticate.ts';
import { exampleOperations } from './examples.ts';

/**
 * Everything of the page comes from this server: scripts and styles as files of this origin, workers made from them, fonts and
 * images inside the style sheet. The policy holds the browser to that.
 */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "worker-src 'self' blob:",
  "style-src 'self' 'unsafe-inline'",
  "font-src 'self' data:",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

interface Asset {
  readonly type: string;
  readonly etag: string;
  readonly plain: Buffer;
  readonly gzipped: Buffer;
}

/** GET /, and GET /graphql from a browser: a page about the server with GraphiQL in it. GET /ide/*: its files. */
export function idePages(catalog: Catalog, access?: Access): Router {
  const router = Router();
  router.get('/', (_request, response) => sendPage(catalog, access, response));
  router.get('/graphql', (request, response, next) => {
    // A browser opening the address; clients ask for JSON, or for anything.
    if (request.accepts(['application/json', 'text/html']) === 'text/html') {
      return sendPage(catalog, access, response);
    }
    return next();
  });
  router.get('/ide/:file', (request, response, next) =>
    assets().then((files) => sendAsset(files.get(request.params.file), request, response, next)),
  );
  return router;
}

function sendAsset(asset: Asset | undefined, request: Request, response: Response, next: NextFunction): void {
  if (asset === undefined) return next();
  response.set({ 'Content-Type': asset.type, ETag: asset.etag, 'Cache-Control': 'public, max-age=3600', Vary: 'Accept-Encoding' });
  if (request.fresh) response.status(304).end();
  else if (request.acceptsEncodings('gzip') === 'gzip') response.set('Content-Encoding', 'gzip').send(asset.gzipped);
  else response.send(asset.plain);
}

let loading: Promise<ReadonlyMap<string, Asset>> | undefined;

/** The IDE's files, read and compressed when first asked for: 9 MB that a server without browsers never loads. */
function assets(): Promise<ReadonlyMap<string, Asset>> {
  loading ??= loadAssets();
  return loading;
}

async function loadAssets(): Promise<ReadonlyMap<string, Asset>> {
  const graphiql: Readonly<Record<'js' | 'css' | 'editorWorkerService' | 'jsonWorker' | 'graphqlWorker', string>> = await import(
    '@graphql-yoga/render-graphiql/graphiql'
  );
  const script = 'text/javascript; charset=utf-8';
  const files: [string, string, string][] = [
    ['graphiql.js', script, graphiql.js],
    ['graphiql.css', 'text/css; charset=utf-8', graphiql.css],
    ['worker-editor.js', script, graphiql.editorWorkerService],
    ['worker-json.js', script, graphiql.jsonWorker],
    ['worker-graphql.js', script, graphiql.graphqlWorker],
    ['workers.js', script, WORKERS],
    ['start.js', script, START],
  ];
  const entries = files.map(async ([name, type, text]): Promise<[string, Asset]> => {
    const plain = Buffer.from(text);
    const etag = `"${createHash('sha256').update(plain).digest('base64url').slice(0, 22)}"`;
    return [name, { type, etag, plain, gzipped: await promisify(gzip)(plain) }];
  });
  return new Map(await Promise.all(entries));
}

/** In the browser, before GraphiQL: where the editor finds its workers. */
const WORKERS = `const files = { editorWorkerService: 'editor', json: 'json', graphql: 'graphql' };
self.MonacoEnvironment = {
  globalAPI: false,
  getWorkerUrl: (_module, label) => new URL('/ide/worker-' + (files[label] ?? 'editor') + '.js', location.href).href,
};
`;

/** In the browser, after it: starts GraphiQL with the examples found in the page. */
const START = `const examples = JSON.parse(document.getElementById('examples').textContent);
YogaGraphiQL.renderYogaGraphiQL(document.getElementById('root'), {
  endpoint: '/graphql',
  title: 'feature-catalog',
  defaultTabs: examples.map(({ query }) => ({ query })),
  shouldPersistHeaders: false,
});
`;

async function sendPage(catalog: Catalog, access: Access | undefined, response: Response): Promise<void> {
  // Browsers come without a key: the page names nothing that such a visitor could not read.
  const visible = await strangersCatalog(catalog, access);
  const examples = exampleOperations(await exampleSubject(visible?.reader ?? null));
  // "<" is escaped so that no text of the catalog can end the script element.
  const json = JSON.stringify(examples).replaceAll('<', '\\u003c');
  response.set({ 'Content-Type': 'text/html; charset=utf-8', 'Content-Security-Policy': CONTENT_SECURITY_POLICY, 'Cache-Control': 'no-cache' });
  response.send(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>feature-catalog</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/ide/graphiql.css">
<style>
html, body { margin: 0; height: 100%; font-family: system-ui, sans-serif; }
body { display: flex; flex-direction: column; }
header { padding: 0.6rem 1rem; border-bottom: 1px solid #ccc; line-height: 1.5; }
h1 { font-size: 1.05rem; margin: 0; display: inline; }
#root { flex: 1; min-height: 0; overflow: hidden; }
#root .graphiql-container { width: 100%; height: 100%; }
</style>
</head>
<body>
<header>
<h1>feature-catalog ${catalog.version}</h1>
A catalog of a language model's features. Send GraphQL operations to <code>POST /graphql</code>, or try the tabs below:
${examples.map(({ title }) => title).join(' · ')}. The schema is documented in the panel at the left.
</header>
<noscript>The editor below needs JavaScript; the API at /graphql does not.</noscript>
<main id="root"></main>
<script type="application/json" id="examples">${json}</script>
<script src="/ide/workers.js"></script>
<script src="/ide/graphiql.js"></script>
<script src="/ide/start.js"></script>
</body>
</html>
`);
}
