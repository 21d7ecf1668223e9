/** The page and its files, as the build has put them beside the program. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fastifyStatic from '@fastify/static';
import type { App } from './app.js';

/** From `src/http`, from `dist/http`, and from the bundle in `dist/cli`: two folders up is the package. */
const FOLDER = fileURLToPath(new URL('../../dist/dashboard/', import.meta.url));

/** True where there is a page to serve. */
export async function registerAssets(app: App): Promise<boolean> {
  if (!existsSync(join(FOLDER, 'index.html'))) return false;
  await app.register(async (scope) => {
    // The page asks who the reader is, and shows the login: it has to be there before that.
    scope.addHook('onRoute', (route) => {
      route.config = { ...route.config, access: 'public' };
    });
    await scope.register(fastifyStatic, {
      root: FOLDER,
      wildcard: false,
      // Files without a name's hash in them are asked for again each time; that costs an answer of no bytes.
      cacheControl: false,
      setHeaders(reply, path) {
        const isHashed = /[/\\]assets[/\\]/.test(path);
        reply.setHeader('cache-control', isHashed ? 'public, max-age=31536000, immutable' : 'no-cache');
      },
    });
  });
  return true;
}
