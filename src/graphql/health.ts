import { Router } from 'express';
import type { Catalog } from '../catalog/catalog.ts';

/** GET /health: the process answers. GET /ready: the database answers too, and the server is not about to stop (503 otherwise). */
export function healthPages(catalog: Catalog, draining: () => boolean): Router {
  const router = Router();
  router.get('/health', (_request, response) => {
    response.set('Cache-Control', 'no-store').json({ status: 'ok', version: catalog.version });
  });
  router.get('/ready', async (_request, response) => {
    const ready = !draining() && (await catalog.reader.healthy());
    response
      .set('Cache-Control', 'no-store')
      .status(ready ? 200 : 503)
      .json({ status: ready ? 'ready' : draining() ? 'stopping' : 'database does not answer' });
  });
  return router;
}
