/** The rules that the image has to follow, read off its files. It is built and run by hand: docs/service.md, "Containers". */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { cli } from '../cli/run-cli.js';
import { instructions, stages } from './dockerfile.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (name: string) => readFileSync(join(root, name), 'utf8');

const all = instructions(read('Dockerfile'));
const final = stages(all).at(-1)!;
const named = (name: string) => final.filter((each) => each.name === name);
const last = (name: string) => named(name).at(-1)!;

interface Service {
  readonly image: string;
  readonly command?: string[];
  readonly env_file: string;
  readonly environment: Record<string, string>;
  readonly restart: string;
  readonly stop_grace_period: string;
  readonly depends_on?: string[];
  readonly volumes: string[];
  readonly ports?: string[];
  readonly privileged?: boolean;
}
const compose = parse(read('compose.yaml'), { merge: true }) as {
  services: Record<string, Service>;
  volumes: Record<string, null>;
};
const { postgres, ...workers } = compose.services;

/** The words of a `run`, given to `config`: it takes the same options, and only shows them. */
async function accepted(command: readonly string[]) {
  expect(command[0]).toBe('run');
  return cli(['config', ...command.slice(1)], { env: { DATABASE_URL: 'postgres://127.0.0.1:1/none' } });
}

describe('the Dockerfile', () => {
  test('copies only what is there and what .dockerignore lets through', () => {
    const let_through = read('.dockerignore').match(/(?<=^!).+$/gm)!;
    const sources = all
      .filter(({ name, words }) => name === 'COPY' && !words[0]!.startsWith('--from='))
      .flatMap(({ words }) => words.slice(0, -1));
    expect(sources.length).toBeGreaterThan(8);
    expect(sources.filter((path) => !existsSync(join(root, path)))).toEqual([]);
    expect(sources.filter((path) => !let_through.includes(path.split('/')[0]!))).toEqual([]);
    expect(read('.dockerignore')).toMatch(/^\*$/m);
  });

  test('has in it whatever the package has', () => {
    const { files } = JSON.parse(read('package.json')) as { files: string[] };
    const copied = named('COPY').flatMap(({ words }) => words.filter((word) => !word.startsWith('--')));
    const packed = files.filter((path) => !path.startsWith('!'));
    expect(packed.filter((path) => !copied.includes(path))).toEqual([]);
  });

  test('builds in a stage of its own, without development dependencies in the image', () => {
    const [build] = stages(all);
    expect(stages(all)).toHaveLength(2);
    const said = build!.map(({ text }) => text).join('\n');
    expect(said).toMatch(/npm ci/);
    expect(said).toMatch(/npm prune --omit=dev/);
    expect(named('RUN').map(({ text }) => text)).not.toContainEqual(expect.stringMatching(/npm/));
  });

  test('names its base by version, not by "latest", and one that Node 20.19 runs on', () => {
    for (const { words } of all.filter(({ name }) => name === 'FROM')) expect(words[0]).toMatch(/^node:20-\w+-slim$/);
  });

  test('runs as a user by number who is not root, under an init, and is stopped by SIGTERM', () => {
    expect(last('USER').text).toMatch(/^[1-9]\d*:[1-9]\d*$/);
    expect(final.findIndex(({ name }) => name === 'USER')).toBeGreaterThan(
      final.findLastIndex(({ name }) => name === 'RUN'),
    );
    expect(last('ENTRYPOINT').words).toEqual(['tini', '--', 'cape-worker']);
    expect(last('STOPSIGNAL').text).toBe('SIGTERM');
  });

  test('brings no secret along', () => {
    expect(all.filter(({ name }) => ['ARG', 'ADD', 'ENV'].includes(name)).map(({ text }) => text)).toEqual([
      'CAPE_LOG_DIR=/var/log/cape-worker CAPE_ALIVE_FILE=/tmp/cape-worker-alive',
    ]);
  });

  test('asks in its health check for nothing but the file that the worker keeps', () => {
    expect(last('HEALTHCHECK').text).toMatch(/CMD find "\$CAPE_ALIVE_FILE" -mmin -1 \| grep -q \.$/);
  });

  test('starts by words that the program takes', async () => {
    const { code, stderr } = await accepted([...last('CMD').words, '--worker-id', 'a']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });
});

describe('compose.yaml', () => {
  test('has a Postgres and two workers of the same image, each with an id of its own', () => {
    expect(Object.keys(compose.services)).toEqual(['postgres', 'worker-1', 'worker-2']);
    expect(new Set(Object.values(workers).map(({ image }) => image))).toEqual(new Set(['cape-worker']));
    expect(Object.values(workers).map(({ command }) => command!.at(-1))).toEqual(['worker-1', 'worker-2']);
  });

  test('lets a stopping worker finish the longest usual issue, and Postgres stop by itself', () => {
    for (const { stop_grace_period } of Object.values(workers)) expect(Number.parseInt(stop_grace_period, 10)).toBe(65);
    expect(postgres!.stop_grace_period).toBe('2m');
  });

  test('starts all of them again, and waits for no database', () => {
    for (const { restart } of Object.values(compose.services)) expect(restart).toBe('unless-stopped');
    for (const { depends_on } of Object.values(workers)) expect(depends_on).toEqual(['postgres']);
  });

  test('takes secrets from a file that neither git nor an image gets, and opens no port', () => {
    for (const service of Object.values(compose.services)) {
      expect(service.env_file).toBe('.env.compose');
      expect(Object.keys(service.environment).join()).not.toMatch(/PASSWORD|DATABASE_URL/);
      expect(service.ports ?? service.privileged).toBeUndefined();
    }
    expect(read('.gitignore')).toMatch(/^\.env\.\*$/m);
    expect(read('compose.yaml')).not.toMatch(/postgres:\/\/cape:(?!\$password@)/);
  });

  test('keeps data and logs in volumes that are declared', () => {
    const used = Object.values(compose.services).flatMap(({ volumes }) =>
      volumes.map((volume) => volume.split(':')[0]),
    );
    expect(new Set(used)).toEqual(new Set(Object.keys(compose.volumes)));
    const logs = /CAPE_LOG_DIR=(\S+)/.exec(last('ENV').text)![1];
    for (const { volumes } of Object.values(workers)) expect(volumes).toContain(`logs:${logs}`);
  });

  test('names an example command that is in the image', () => {
    for (const { environment } of Object.values(workers)) {
      expect(existsSync(environment.CAPE_COMMAND!.replace('/opt/cape-worker', root))).toBe(true);
    }
  });

  test('starts the workers by words that the program takes', async () => {
    const ends = await Promise.all(Object.values(workers).map(({ command }) => accepted(command!)));
    expect(ends.map(({ code, stderr }) => [code, stderr])).toEqual(ends.map(() => [0, '']));
  });
});
