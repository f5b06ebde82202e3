import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { systemQuestion, windowsShellIn } from './windows-shell.ts';

test('cmd.exe and PowerShell are told by what they make of one line, and no shell of Unix is taken for them', () => {
  assert.equal(windowsShellIn('Windows_NT+$env:OS\r\n'), 'cmd.exe');
  assert.equal(windowsShellIn('\ufeff%OS%+Windows_NT\r\n'), 'PowerShell');
  for (const answer of ['', '%OS%+:OS\n', 'Windows_NT', 'motd\nWindows_NT+$env:OS', 'Windows_NT+Windows_NT']) assert.equal(windowsShellIn(answer), undefined, answer);
  assert.equal(windowsShellIn(execFileSync('/bin/sh', ['-c', systemQuestion], { encoding: 'utf8' })), undefined);
});
