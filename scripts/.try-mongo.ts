import { openReplicaSet } from '/work/main/test/kit/replica-set.ts';
import { startMongod } from '/work/main/src/mongo/mongod.ts';
import { rmSync } from 'node:fs';
const t0=performance.now();
{
await using set = await openReplicaSet({ members: 3 });
console.log('up', performance.now()-t0, set.uri, set.mongoVersion);
await using c = await set.client();
await c.db('x').collection('y').insertOne({a:1});
console.log(await c.db('x').collection('y').countDocuments());
const p = await set.stepDown(); console.log('stepdown', performance.now()-t0, p.name);
}
console.log('closed', performance.now()-t0);
rmSync('/tmp/tm-mongo-q',{recursive:true,force:true});
(await import('node:fs')).mkdirSync('/tmp/tm-mongo-q/db',{recursive:true});
const {findMongod}=await import('/work/main/test/kit/mongod.ts');
const m = await startMongod({binary:(await findMongod()).path, dbPath:'/tmp/tm-mongo-q/db', socketDir:'/tmp/tm-mongo-q/s', logPath:'/tmp/tm-mongo-q/log'});
console.log('mongod', performance.now()-t0, m.pid);
console.log(await m.stop(), performance.now()-t0);
try { await startMongod({binary:(await findMongod()).path, dbPath:'/tmp/tm-mongo-q/dbx', socketDir:'/tmp/tm-mongo-q/s', logPath:'/tmp/tm-mongo-q/log'}); } catch(e){console.log(e)}
rmSync('/tmp/tm-mongo-q',{recursive:true,force:true});
