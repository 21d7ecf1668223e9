/** What `service install` makes of its options. */
import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { wishOf } from '../../src/cli/service-install.js';

describe('the options of service install', () => {
  test('are variables of the env file, with absolute folders, but for what the unit holds', () => {
    const flags = { concurrency: '3', 'log-dir': 'logs', 'data-dir': 'data', 'working-dir': 'work', migrate: false };
    expect(wishOf('a', 'user', flags)).toMatchObject({
      workingDir: resolve('work'),
      logDir: resolve('logs'),
      variables: {
        CAPE_CONCURRENCY: '3',
        CAPE_LOG_DIR: resolve('logs'),
        CAPE_DATA_DIR: resolve('data'),
        CAPE_MIGRATE: 'false',
        CAPE_NO_MIGRATE: null,
      },
    });
  });

  test('may name an env file that is yet to be written', () => {
    const { envFile, variables } = wishOf('a', 'user', { 'env-file': 'new.env' });
    expect(envFile).toBe(resolve('new.env'));
    expect(variables).toEqual({});
  });

  test('are checked as options', () => {
    expect(() => wishOf('a', 'user', { concurrency: 'x' } as object)).toThrow(
      '--concurrency: got "x"; must be a whole number',
    );
  });
});
