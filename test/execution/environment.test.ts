import { describe, expect, it } from 'vitest';
import { childEnvironment } from '../../src/execution/environment.js';

const worker = {
  PATH: '/bin',
  HOME: '/home/me',
  LC_ALL: 'C',
  XDG_CACHE_HOME: '/c',
  TERM: 'xterm',
  https_proxy: 'http://p',
  ANTHROPIC_API_KEY: 'k',
  ANTHROPIC_MODEL: 'm',
  DATABASE_URL: 'postgres://secret',
  PGPASSWORD: 'secret',
  CAPE_LEASE: '300',
  CAPE_LISTEN_URL: 'postgres://secret',
  CAPE_RUN: 'outer',
  NODE_OPTIONS: '--inspect',
  NOTIFY_SOCKET: '/run/notify',
  WATCHDOG_USEC: '1',
  LISTEN_FDS: '1',
  JOURNAL_STREAM: '8:1',
  INVOCATION_ID: 'i',
  CREDENTIALS_DIRECTORY: '/creds',
  UNSET: undefined,
};
const usual = {
  PATH: '/bin',
  HOME: '/home/me',
  LC_ALL: 'C',
  XDG_CACHE_HOME: '/c',
  TERM: 'dumb',
  https_proxy: 'http://p',
};

describe('the environment of a command', () => {
  it('holds what it needs to work and nothing of the worker or the service manager', () => {
    expect(childEnvironment(worker, [])).toEqual(usual);
  });

  it('holds what was asked for by name or prefix', () => {
    expect(childEnvironment(worker, ['ANTHROPIC_*'])).toEqual({
      ...usual,
      ANTHROPIC_API_KEY: 'k',
      ANTHROPIC_MODEL: 'm',
    });
    expect(childEnvironment(worker, ['ANTHROPIC_MODEL', 'UNSET'])).toEqual({ ...usual, ANTHROPIC_MODEL: 'm' });
  });

  it('holds the database and the settings only where they are named in full', () => {
    expect(childEnvironment(worker, ['*'])).toEqual({
      ...usual,
      TERM: 'xterm',
      ANTHROPIC_API_KEY: 'k',
      ANTHROPIC_MODEL: 'm',
    });
    expect(childEnvironment(worker, ['DATABASE_URL', 'PGPASSWORD', 'NODE_OPTIONS', 'CAPE_LEASE'])).toEqual({
      ...usual,
      DATABASE_URL: 'postgres://secret',
      PGPASSWORD: 'secret',
      NODE_OPTIONS: '--inspect',
      CAPE_LEASE: '300',
    });
  });

  it('never holds the words of the service manager', () => {
    const names = [
      'NOTIFY_SOCKET',
      'WATCHDOG_USEC',
      'LISTEN_FDS',
      'JOURNAL_STREAM',
      'INVOCATION_ID',
      'CREDENTIALS_DIRECTORY',
      'CAPE_RUN',
    ];
    expect(childEnvironment(worker, names)).toEqual(usual);
  });
});
