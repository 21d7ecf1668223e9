/**
 * One clock for all processes of a sample, the monotonic one, and the smallest command that tells it. A time is told
 * through a FIFO as 16 bytes, seconds and nanoseconds, so that whoever waits hears of it without asking.
 */
import { execFileSync } from 'node:child_process';
import { constants, openSync, writeFileSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';

const BYTES = 16;
const LONGEST_MS = 60_000;

/** Milliseconds. */
export function clock() {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** For a handler: tells the time at which it was called. */
export function clockTeller(fifo) {
  const fd = openSync(fifo, constants.O_WRONLY);
  return () => {
    const time = process.hrtime.bigint();
    const bytes = Buffer.alloc(BYTES);
    bytes.writeBigInt64LE(time / 1_000_000_000n, 0);
    bytes.writeBigInt64LE(time % 1_000_000_000n, 8);
    writeSync(fd, bytes);
  };
}

/** Makes the FIFO. `next()` resolves with the next time that is told, in milliseconds. */
export function hearTimes(folder) {
  const fifo = join(folder, 'times');
  execFileSync('mkfifo', [fifo]);
  // Opened for writing as well: the end of one writer is not the end of all.
  const socket = new Socket({
    fd: openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK),
    readable: true,
    writable: false,
  });
  let rest = Buffer.alloc(0);
  const heard = [];
  const waiting = [];
  socket.on('data', (bytes) => {
    rest = Buffer.concat([rest, bytes]);
    for (; rest.length >= BYTES; rest = rest.subarray(BYTES)) {
      heard.push(Number(rest.readBigInt64LE(0)) * 1000 + Number(rest.readBigInt64LE(8)) / 1e6);
      waiting.shift()?.();
    }
  });
  const next = async () => {
    if (heard.length === 0) {
      await new Promise((resolve, reject) => {
        const late = setTimeout(() => reject(new Error(`nothing began within ${LONGEST_MS / 1000} s`)), LONGEST_MS);
        waiting.push(() => {
          clearTimeout(late);
          resolve();
        });
      });
    }
    return heard.shift();
  };
  return { fifo, next, close: () => socket.destroy() };
}

/**
 * A program that takes the time with its first instructions and tells it to the FIFO that is its first argument.
 * A shell's own start would be 1 to 2 ms in each sample, Perl's 3.
 */
export function clockProgram(folder) {
  const path = join(folder, 'clock');
  const native = process.platform === 'linux' && process.arch === 'x64';
  writeFileSync(path, native ? staticProgram() : perlScript(), { mode: 0o755 });
  return path;
}

/** The headers of a static ELF program and 67 bytes of instructions for x86-64: no loader, no library. */
function staticProgram() {
  const base = 0x400000n;
  const code = Buffer.from(
    [
      '4883ec10', // sub rsp, 16
      'b8e4000000 bf01000000 4889e6 0f05', // clock_gettime(CLOCK_MONOTONIC, rsp)
      'b802000000 488b7c2420 be01000000 0f05 89c7', // edi = open(argv[1], O_WRONLY)
      'b801000000 4889e6 ba10000000 0f05', // write(edi, rsp, 16)
      'b83c000000 31ff 0f05', // exit(0)
    ]
      .join('')
      .replaceAll(' ', ''),
    'hex',
  );
  const headers = Buffer.alloc(64 + 56);
  headers.write('\x7fELF\x02\x01\x01', 'latin1');
  headers.writeUInt16LE(2, 16); // an executable
  headers.writeUInt16LE(62, 18); // for x86-64
  headers.writeUInt32LE(1, 20);
  headers.writeBigUInt64LE(base + 120n, 24); // where it begins
  headers.writeBigUInt64LE(64n, 32); // where the one segment is described
  headers.writeUInt16LE(64, 52);
  headers.writeUInt16LE(56, 54);
  headers.writeUInt16LE(1, 56);
  headers.writeUInt32LE(1, 64); // to be loaded
  headers.writeUInt32LE(5, 68); // readable, executable
  headers.writeBigUInt64LE(base, 80);
  headers.writeBigUInt64LE(base, 88);
  headers.writeBigUInt64LE(BigInt(headers.length + code.length), 96);
  headers.writeBigUInt64LE(BigInt(headers.length + code.length), 104);
  headers.writeBigUInt64LE(0x1000n, 112);
  return Buffer.concat([headers, code]);
}

/** Node's clock is number 1 on Linux, number 8 on macOS. */
function perlScript() {
  const number = process.platform === 'darwin' ? 8 : 1;
  return [
    '#!/usr/bin/perl',
    'use Time::HiRes qw(clock_gettime);',
    `my $t = clock_gettime(${number});`,
    "open(my $f, '>', $ARGV[0]); syswrite($f, pack('qq', int($t), int(($t - int($t)) * 1e9)));",
    '',
  ].join('\n');
}
