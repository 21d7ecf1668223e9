// Builds the web page (src/dashboard) into dist/dashboard: files with their hash in the name, and nothing from elsewhere.
import { join } from 'node:path';

/**
 * @param vite the module
 * @param root the package's folder
 * @param fresh what is dist/ to be
 */
export async function buildDashboard(vite, root, fresh) {
  const source = join(root, 'src', 'dashboard');
  await vite.build({
    root: source,
    // Nobody's vite.config.* further up, and no .env: what is built depends on what is in src/dashboard alone.
    configFile: false,
    envDir: false,
    publicDir: false,
    logLevel: 'warn',
    // Relative: the page works below any path of a proxy.
    base: './',
    oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
    build: {
      outDir: join(fresh, 'dashboard'),
      emptyOutDir: true,
      target: 'es2022',
      // Those that know light-dark() and color-mix(): without them no colour of the page is right.
      cssTarget: ['chrome123', 'firefox128', 'safari17.5'],
      // A data: URL would need its own word in the content security policy.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      reportCompressedSize: false,
    },
  });
}
