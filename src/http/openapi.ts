/** The OpenAPI document, made from the schemas of the routes, and a page to read it. */
import swagger from '@fastify/swagger';
import { jsonSchemaTransform } from 'fastify-type-provider-zod';
import { programVersion } from '../db/migration-files.js';
import type { App } from './app.js';
import { type Document, docsPage, STYLE } from './docs-page.js';

/** Before the routes: it looks at each as it is registered. */
export async function describeApi(app: App): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'cape-worker',
        version: programVersion(),
        description: 'Issues, workers and what happens to them. Errors are problem documents (RFC 9457).',
      },
      components: {
        securitySchemes: {
          token: { type: 'http', scheme: 'bearer' },
          session: { type: 'apiKey', in: 'cookie', name: 'cape_session_<port>' },
        },
      },
      security: [{ token: [] }, { session: [] }],
    },
    transform: jsonSchemaTransform,
  });
}

/** After the routes. Made when it is first asked for: 90 KB that most servers are never asked for. */
export function registerDocument(app: App): void {
  const hide = { schema: { hide: true } as object };
  app.get('/openapi.json', hide, async (_request, reply) =>
    reply.type('application/json; charset=utf-8').serializer(String).send(JSON.stringify(app.swagger())),
  );
  app.get('/docs', hide, async (_request, reply) =>
    reply
      .type('text/html; charset=utf-8')
      .serializer(String)
      .send(docsPage(app.swagger() as Document)),
  );
  app.get('/docs/style.css', { ...hide, config: { access: 'public' } }, async (_request, reply) =>
    reply.type('text/css; charset=utf-8').serializer(String).send(STYLE),
  );
}
