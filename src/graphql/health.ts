import { Router } from 'express';
import type { Catalog } from '../catalog/catalog.ts';

/** GET /health: the process answers. GET /ready: the database answers too (503 when it does not). */
export function healthPages(catalog: Catalog): Router {
  const router = Router();
  router.get('/health', (_request, response) => {
    response.set('Cache-Control', 'no-store').json({ status: 'ok', version: catalog.version });
  });
  router.get('/ready', async (_request, response) => {
    const ready = await catalog.reader.healthy();
    response
      .set('Cache-Control', 'no-store')
      .status(ready ? 200 : 503)
      .json({ status: ready ? 'ready' : 'database does not answer' });
  });
  return router;
}
