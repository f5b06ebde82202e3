/**
 * `node --test scripts/test-lot.ts FILE…`: several test files in one process, so that what they share is loaded and compiled once.
 * Each is a suite that bears its path: its hooks are its own, and what is told of its tests can be told of it.
 */
import { resolve } from 'node:path';
import { suite } from 'node:test';

for (const file of process.argv.slice(2)) void suite(file, async () => void (await import(resolve(file))));
