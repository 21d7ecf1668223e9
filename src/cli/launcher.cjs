#!/bin/sh
// 2>/dev/null; exec node -- "$0" "$@"
/*
 * dist/cli/main.js: starts the program, which the build has put into one file beside it. The first lines are read by sh
 * and by Node: without the two dashes Node 20 takes an --env-file behind the program's name for its own, ends with code 9
 * where that is missing, and obeys a NODE_OPTIONS in it. (env -S would do as well, but busybox has none.)
 *
 * With the program comes what V8 had compiled of it when it was built: that halves the time from here to the first
 * command (of --version 212 -> 144 ms where an empty Node takes 80). V8 refuses it where it is of another version or
 * other options, and then compiles by itself.
 */
'use strict';
const { readFileSync } = require('node:fs');
const { Script } = require('node:vm');

const file = `${__dirname}/program.cjs`;

function compiledBefore() {
  try {
    return readFileSync(`${__dirname}/program-${process.version}-${process.arch}.cache`);
  } catch {
    return undefined; // built by another Node, or where it could not be made
  }
}

// latin1, which is kept as it is: outside of comments the build writes ASCII alone.
const script = new Script(readFileSync(file, 'latin1'), { filename: file, cachedData: compiledBefore() });
script.runInThisContext()(require, file, __dirname);
