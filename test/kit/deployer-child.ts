/** A deployer that does one thing and is killed before its step number N: `DIRECTORY WHAT N`. Says its steps, one a line. */
import { bring, makeSmallPackage, openScene, order } from './deployer-scene.ts';

const [directory, what, nth] = process.argv.slice(2) as [string, string, string];
const scene = await openScene(directory);
let steps = 0;
const deployer = await scene.open((step) => {
  process.stdout.write(`${step}\n`);
  if (++steps === Number(nth)) process.kill(process.pid, 'SIGKILL');
});

if (what === 'configure') await order(deployer, 'deployer.configure', { name: 'tidemark-transport', service: { settings: { listen: { port: 7000 } } } });
else if (what === 'remove') await order(deployer, 'deployer.remove', { name: 'tidemark-transport', data: true });
else {
  const made = makeSmallPackage(scene, what === 'install' ? '1.0.0' : '1.1.0', { broken: what === 'broken update' });
  await bring(deployer, made);
  if (what === 'install') await order(deployer, 'deployer.install', { package: made.signed });
  else await order(deployer, 'deployer.update', { package: made.signed, sessionsWithinMs: 0 }).catch(() => {});
}
