import assert from 'node:assert/strict';
import { test } from 'node:test';
import { windowsInstallerProgram } from './windows-installer-program.ts';

const manifest = { name: 'tidemark-deployer', version: '1.2.3', platform: 'windows-x64', sha256: 'a'.repeat(64), bytes: 1, builtAt: 'now' } as const;
const lines = (deployerPort: number): string[] => windowsInstallerProgram({ host: 'win', deployerPort, package: manifest }).split('\r\n');

test('Windows Installer is given the package and nothing else, before the kit is moved into the folder of the service and taken away', () => {
  const said = lines(6160);
  const at = (pattern: RegExp): number => said.findIndex((line) => pattern.test(line));
  assert.equal(said.filter((line) => line.includes('msiexec')).join(), 'start "" /wait %SystemRoot%\\System32\\msiexec.exe /i "%~dp0tidemark-deployer-1.2.3-windows-x64.msi" /qn /norestart');
  const order = [at(/msiexec/), at(/^if not exist "%home%\\deployer\\"/), at(/^copy .*kit\.part"/), at(/^move .*kit\.json"/), at(/^del "%kit%"/)];
  assert.deepEqual(order, [...order].sort((a, b) => a - b));
  assert.ok(order.every((line) => line >= 0), order.join());
  assert.ok(said.every((line) => !line.includes('\n')), 'cmd.exe wants both characters at the end of a line');
});

test('another port of the deployer goes into its settings, unless somebody has written some', () => {
  assert.ok(!lines(6160).some((line) => line.includes('deployer.json')));
  const said = lines(7000).join('\n');
  assert.match(said, /^if not exist "%home%\\deployer\.json" \(\n {2}echo \{"listen":\{"port":7000\}\}> "%home%\\deployer\.json"\n {2}%SystemRoot%\\System32\\net\.exe stop tidemark-deployer/m);
});

test('any end of Windows Installer but 0 and 3010 is a failure, numbers above and below them too', () => {
  const said = lines(6160);
  const at = said.findIndex((line) => line.includes('msiexec'));
  assert.deepEqual(said.slice(at + 1, at + 3), ['set "ended=%errorlevel%"', 'if not "%ended%"=="0" if not "%ended%"=="3010" (']);
  assert.match(said[at + 3]!, /^ {2}echo Windows Installer ended with %ended% [^()&|<>]*$/, 'nothing in it ends the block or the line');
  assert.equal(said[at + 4], '  exit /b 1');
});

test('programs of Windows are called by their paths, so that none of the current folder is run as an administrator', () => {
  for (const line of lines(7000)) for (const [, path] of line.matchAll(/(\S*)\b(?:msiexec|net)(?:\.exe)? (?:\/i|start|stop)/g)) assert.equal(path, '%SystemRoot%\\System32\\', line);
});
