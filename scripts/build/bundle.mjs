// Puts the program and all that it imports into one file (dist/cli/program.cjs), and the keeper into another: Node takes
// longer to find and read 250 modules than the program to reach its first claim. Nothing is made smaller by shorter
// names: the stack of a bug has the names of our functions, and the file says from which source each part came.
import { copyFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** yargs measures texts with it, and what it makes for that at once, an Intl.Segmenter, takes 25 of 60 ms. Ours are ASCII. */
const PLAIN_WIDTH = `
  import { stripVTControlCharacters } from 'node:util';
  let exact;
  export default function width(text, options) {
    if (typeof text !== 'string') return 0;
    const plain = stripVTControlCharacters(text);
    if (/^[\\x20-\\x7e]*$/.test(plain)) return plain.length;
    exact ??= require('exact-string-width').default;
    return exact(text, options);
  }`;

const plainWidth = {
  name: 'plain-width',
  setup(build) {
    const real = async ({ resolveDir }) =>
      build.resolve('string-width', { resolveDir, kind: 'import-statement', pluginData: 'real' });
    build.onResolve({ filter: /^string-width$/ }, ({ importer, resolveDir, pluginData }) =>
      pluginData === 'real' || !/[\\/](yargs|cliui|wrap-ansi)[\\/]/.test(importer)
        ? undefined
        : { path: resolveDir, namespace: 'plain-width', pluginData: resolveDir },
    );
    build.onResolve({ filter: /^exact-string-width$/ }, (asked) => real(asked));
    build.onLoad({ filter: /.*/, namespace: 'plain-width' }, ({ path }) => ({
      contents: PLAIN_WIDTH,
      resolveDir: path,
    }));
  },
};

/** The server is loaded by those who serve: with Fastify it is as large as the rest, and start-up reads the whole file. */
const apart = {
  name: 'apart',
  setup(build) {
    build.onResolve({ filter: /^\.\.\/http\/server\.js$/ }, ({ kind }) =>
      kind === 'dynamic-import' ? { path: './server.cjs', external: true } : undefined,
    );
  },
};

/**
 * @param root the package's folder
 * @param fresh what tsc has made; dist/ to be
 */
export async function bundle(esbuild, root, fresh) {
  const shared = { bundle: true, platform: 'node', target: 'node20.19', logLevel: 'warning', absWorkingDir: root };
  const program = join(fresh, 'cli', 'program.cjs');
  // The rest of this folder is in the bundle, and nobody's library.
  for (const name of readdirSync(join(fresh, 'cli'))) rmSync(join(fresh, 'cli', name));
  const cjs = {
    format: 'cjs',
    // Of what stays outside: import() has no meaning in a script that is run from its text, as launcher.cjs does it.
    supported: { 'dynamic-import': false },
  };
  const script = {
    ...cjs,
    banner: { js: `const __programUrl = require('node:url').pathToFileURL(__filename).href;` },
    define: { 'import.meta.url': '__programUrl' },
  };
  await Promise.all([
    esbuild.build({
      ...shared,
      ...script,
      entryPoints: [join(root, 'src', 'http', 'server.ts')],
      outfile: join(fresh, 'cli', 'server.cjs'),
    }),
    esbuild.build({
      ...shared,
      ...cjs,
      ...{ entryPoints: [join(root, 'src', 'cli', 'main.ts')], outfile: program, plugins: [plainWidth, apart] },
      // Called by launcher.cjs.
      banner: {
        js: `(function (require, __filename, __dirname) { const __programUrl = require('node:url').pathToFileURL(__filename).href;`,
      },
      footer: { js: '})' },
      define: { 'import.meta.url': '__programUrl' },
    }),
    esbuild.build({
      ...shared,
      ...script,
      // No module: that is loaded by Node's thread pool, and each fork of the keeper would copy its threads' stacks.
      entryPoints: [join(root, 'src', 'execution', 'keeper.ts')],
      outfile: join(fresh, 'execution', 'keeper.cjs'),
    }),
  ]);
  copyFileSync(join(root, 'src', 'cli', 'launcher.cjs'), join(fresh, 'cli', 'main.js'));
  writeFileSync(join(fresh, 'cli', 'package.json'), '{ "type": "commonjs" }\n');
}
