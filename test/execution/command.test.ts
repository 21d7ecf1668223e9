import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CapeError } from '../../src/core/errors.js';
import { planArguments, resolveCommand, splitTemplate } from '../../src/execution/command.js';
import { type Bench, bench, tempDir } from './harness.js';

const program = (...words: string[]) => ({ file: '/bin/program', words, label: 'program' });

describe('a template', () => {
  it('is split by the quoting rules of a shell, and nothing of it is expanded', () => {
    expect(splitTemplate(`claude -p 'two words' "a \\"quote\\"" a\\ b $HOME *.ts ~ \`id\` ; &&`)).toEqual([
      'claude',
      '-p',
      'two words',
      'a "quote"',
      'a b',
      '$HOME',
      '*.ts',
      '~',
      '`id`',
      ';',
      '&&',
    ]);
  });

  it.each([
    ['claude -p "open', "can't be split into words"],
    ['', 'names no program'],
    ['  ', 'names no program'],
    ["'' x", 'names no program'],
  ])('%j is refused in one line that repeats it', (template, reason) => {
    expect(() => splitTemplate(template)).toThrow(CapeError);
    expect(() => splitTemplate(template)).toThrow(`--command: ${JSON.stringify(template)} ${reason}`);
  });

  it('without placeholders gets id and description at its end', () => {
    expect(planArguments(program('--flag'), { id: 7, description: 'Fix it' })).toEqual({
      file: '/bin/program',
      args: ['--flag', '7', 'Fix it'],
    });
  });

  it('with one placeholder gets just that, inside its word', () => {
    expect(planArguments(program('--id={id}', '{other}'), { id: 7, description: 'x' })).toMatchObject({
      args: ['--id=7', '{other}'],
    });
  });

  it('with a description that holds NUL is refused for good, unless it does not use it', () => {
    const issue = { id: 1, description: 'a\0b' };
    expect(planArguments(program(), issue)).toMatchObject({ kind: 'invalid' });
    expect(planArguments(program('{id}'), issue)).toMatchObject({ args: ['1'] });
  });
});

describe.skipIf(process.platform !== 'linux')('an argument of the most bytes that Linux takes', () => {
  const longest = `${'é'.repeat(65_535)}x`;

  it('is handed over', async () => {
    const b = bench();
    expect(planArguments(program(), { id: 1, description: longest })).toMatchObject({ args: ['1', longest] });
    expect(await b.start('/bin/true', [longest]).ended).toMatchObject({ kind: 'succeeded' });
    await b.close();
  });

  it('and one byte is refused for good before the keeper hears of it, unless the template does not use it', () => {
    const issue = { id: 1, description: `${longest}x` };
    const error = expect.stringContaining('use a --command template without {description}');
    expect(planArguments(program(), issue)).toMatchObject({ kind: 'invalid', error });
    expect(planArguments(program('{id}'), issue)).toMatchObject({ args: ['1'] });
  });
});

/** Any text but NUL, with the characters that shells, templates and String.replace care for among them. */
const anyText = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('{id}', '{description}', '$&', "$'", '$1', "'", '"', '\\', '\n', '-', ' ', '`', '*'),
    ),
  )
  .map((parts) => parts.join('').replaceAll('\0', ''));
const anyId = fc.integer({ min: 1, max: 2 ** 31 - 1 });

describe('for every id and description', () => {
  it('the placeholders are replaced exactly, once, and no word is added or lost', () => {
    fc.assert(
      fc.property(anyId, anyText, (id, description) => {
        const planned = planArguments(program('-p', '{description}', '<{id}:{description}>'), { id, description });
        expect(planned).toMatchObject({ args: ['-p', description, `<${id}:${description}>`] });
      }),
    );
  });

  it('the two default arguments are id and description', () => {
    fc.assert(
      fc.property(anyId, anyText, (id, description) => {
        expect(planArguments(program(), { id, description })).toMatchObject({ args: [String(id), description] });
      }),
    );
  });

  describe('the command', () => {
    let b: Bench;
    beforeAll(() => {
      b = bench();
    });
    afterAll(() => b.close());

    it('receives them byte by byte', async () => {
      await fc.assert(
        // Lone surrogates have no bytes: they arrive as U+FFFD, and Postgres refuses them anyway.
        fc.asyncProperty(
          anyId,
          anyText.map((text) => Buffer.from(text).toString()),
          async (id, description) => {
            const { args } = planArguments(program('%s|%s|%s', '{id}', '{description}', '-'), {
              id,
              description,
            }) as unknown as {
              args: string[];
            };
            const { tail } = await b.start('/usr/bin/printf', args, { tailBytes: 100_000 }).ended;
            expect(tail).toBe(`${id}|${description}|-`);
          },
        ),
        { numRuns: 60 },
      );
    });
  });
});

describe('the command is found', () => {
  let dir: string;
  const put = (folder: string, name: string) => {
    mkdirSync(join(dir, folder), { recursive: true });
    writeFileSync(join(dir, folder, name), '#!/bin/sh\n');
    chmodSync(join(dir, folder, name), 0o755);
  };
  beforeAll(() => {
    dir = tempDir();
    put('both', 'cape-adw');
    put('both', 'uv');
    put('uv', 'uv');
    writeFileSync(join(dir, 'both', 'plain'), '');
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  const search = (path: string, command?: string) => resolveCommand({ command, path, cwd: dir });

  it('as cape-adw on PATH', () => {
    expect(search(`${dir}/none:${dir}/both`)).toEqual({
      file: join(dir, 'both/cape-adw'),
      words: [],
      label: 'cape-adw',
    });
  });

  it('else as "uv run cape-adw"', () => {
    expect(search(`${dir}/uv`)).toEqual({
      file: join(dir, 'uv/uv'),
      words: ['run', 'cape-adw'],
      label: 'uv run cape-adw',
    });
  });

  it('else not at all, and the error names the three ways', () => {
    expect(() => search(`${dir}/none`)).toThrow(
      'no command to run: give one by --command (CAPE_COMMAND), or put cape-adw or uv (for "uv run cape-adw") on PATH',
    );
  });

  it('before all by its template, on PATH or relative to the folder', () => {
    expect(search(`${dir}/both`, 'uv x {id}')).toMatchObject({ file: join(dir, 'both/uv'), words: ['x', '{id}'] });
    expect(search('', './both/uv')).toMatchObject({ file: join(dir, 'both/uv') });
    expect(search('', `'${dir}/both/uv'`)).toMatchObject({ file: join(dir, 'both/uv') });
  });

  it.each([
    ['{descripton}', '{description}'],
    ['--text={DESCRIPTION}!', '{description}'],
    ['{desciptions}', '{description}'],
    ['{ID}', '{id}'],
    ['{id}:{Id}', '{id}'],
  ])('unless the template misspells a placeholder: %s', (word, meant) => {
    expect(() => search(`${dir}/both`, `uv x ${word}`)).toThrow(`did you mean "${meant}"?`);
  });

  it('and other words in braces are left alone', () => {
    const variable = `$${'{ID}'}`;
    const words = ['{}', '{ids}', '{it}', '{issue}', '{desc}', '{a,b}', '{"id":1}', variable, '{id}{description}'];
    expect(search(`${dir}/both`, ['uv', ...words.map((word) => `'${word}'`)].join(' ')).words).toEqual(words);
  });

  it('or named in the error when the template names what is not there or not executable', () => {
    expect(() => search(`${dir}/both`, 'nothing {id}')).toThrow('--command: "nothing": not found on PATH');
    expect(() => search('', './both/plain')).toThrow(
      `--command: "./both/plain": ${dir}/both/plain is no executable file`,
    );
  });
});
