/** The run's own Postgres: made by it, stopped in every way, started again. */
import { setTimeout as pause } from 'node:timers/promises';
import { type Binaries, findBinaries, packagedNative, systemFolders } from '../../src/db/embedded/binaries.js';
import { createCluster, ensurePassword, urlOf } from '../../src/db/embedded/cluster.js';
import { type Layout, layoutOf } from '../../src/db/embedded/data-dir.js';
import { chooseOwner, makeFolders, type Owner } from '../../src/db/embedded/owner.js';
import { inspect } from '../../src/db/embedded/postmaster.js';
import { launch, stopServer } from '../../src/db/embedded/server.js';

/** A killed server's sessions keep a new one from starting for a moment. */
const START_TRIES = 100;
const START_PAUSE_MS = 200;

export class OwnPostgres {
  /** Of the server itself, past all proxies; the same after every start. */
  readonly url: string;
  readonly #layout: Layout;
  readonly #binaries: Binaries;
  readonly #owner: Owner | null;
  #busy: Promise<void> = Promise.resolve();

  private constructor(layout: Layout, binaries: Binaries, owner: Owner | null, url: string) {
    this.#layout = layout;
    this.#binaries = binaries;
    this.#owner = owner;
    this.url = url;
  }

  static async make(dataDir: string): Promise<OwnPostgres> {
    const layout = layoutOf(dataDir);
    const owner = await chooseOwner(layout, process.getuid!());
    await makeFolders(layout, owner);
    const folders = await systemFolders(process.env.PATH ?? '');
    const binaries = await findBinaries({ layout, owner, wanted: null, native: packagedNative(), folders });
    const password = await ensurePassword(layout, owner);
    await createCluster(layout, binaries, owner);
    const first = new OwnPostgres(layout, binaries, owner, '');
    await first.start();
    const { port } = await inspect(layout.cluster);
    return new OwnPostgres(layout, binaries, owner, urlOf(password, port!));
  }

  start(): Promise<void> {
    return this.#afterOthers(() => this.#start());
  }

  /** One thing after another: a server is not stopped while it starts. */
  #afterOthers(work: () => Promise<void>): Promise<void> {
    const done = this.#busy.then(work);
    this.#busy = done.catch(() => {});
    return done;
  }

  async #start(): Promise<void> {
    let why: string | null = 'it was never tried';
    for (let tries = 0; tries < START_TRIES; tries++) {
      why = await launch(this.#layout, this.#binaries, this.#owner);
      if (why === null) return;
      await pause(START_PAUSE_MS);
    }
    throw new Error(`the run's own Postgres does not start again: ${why}`);
  }

  /** Sessions are ended and everything is written down, or nothing is and the next start recovers. */
  stop(signal: 'SIGINT' | 'SIGQUIT' = 'SIGINT'): Promise<void> {
    return this.#afterOthers(async () => void (await stopServer(this.#layout.cluster, signal)));
  }

  /** SIGKILL to the postmaster: its sessions notice by and by. */
  kill(): Promise<void> {
    return this.#afterOthers(async () => {
      const { pid } = await inspect(this.#layout.cluster);
      if (pid !== null) process.kill(pid, 'SIGKILL');
    });
  }
}
