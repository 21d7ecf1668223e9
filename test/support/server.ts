/** Which Postgres the tests use: the one named, else a container, else the one that ships with the package. */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { messageOf } from '../../src/core/errors.js';

export interface TestServer {
  /** A superuser's URL of a maintenance database. */
  readonly url: string;
  /** One line for people. */
  readonly description: string;
  /** @param keep leave it running or on disk where that is possible, for a look at a failed test's database */
  stop(keep: boolean): Promise<void>;
}

const IMAGE = process.env.TEST_POSTGRES_IMAGE ?? 'postgres:17-alpine';

export async function chooseServer(): Promise<TestServer> {
  const url = process.env.TEST_DATABASE_URL;
  if (url) return { url, description: 'the server of TEST_DATABASE_URL', stop: async () => {} };
  return (await container()) ?? (await embedded());
}

/** Null where no Docker engine answers: testcontainers itself would then only say "no working container runtime". */
async function container(): Promise<TestServer | null> {
  const { getContainerRuntimeClient } = await import('testcontainers');
  try {
    await getContainerRuntimeClient();
  } catch {
    return null;
  }
  const { PostgreSqlContainer } = await import('@testcontainers/postgresql');
  try {
    const started = await new PostgreSqlContainer(IMAGE).withCommand(['postgres', '-c', 'fsync=off']).start();
    return {
      url: started.getConnectionUri(),
      description: `a container of ${IMAGE}`,
      stop: async (keep) => {
        if (keep) console.log(`the container is left running: ${started.getConnectionUri()}`);
        else await started.stop();
      },
    };
  } catch (error) {
    // An engine that can't pull the image, mostly.
    console.log(`no container of ${IMAGE} (${messageOf(error)}); using the embedded Postgres instead`);
    return null;
  }
}

async function embedded(): Promise<TestServer> {
  const { startEmbedded } = await import('../../src/db/embedded/index.js');
  const folder = await mkdtemp(join(tmpdir(), 'cape-test-'));
  // mkdtemp gives 0700; for root the server runs as another user, who must get in.
  await chmod(folder, 0o755);
  const server = await startEmbedded({ dataDir: join(folder, 'data'), log: () => {} });
  return {
    url: server.url,
    description: `the embedded Postgres, in ${folder}`,
    stop: async (keep) => {
      await server.release();
      if (keep) console.log(`the server's data is kept in ${folder}/data`);
      else await rm(folder, { recursive: true, force: true });
    },
  };
}
