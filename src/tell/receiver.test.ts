import assert from 'node:assert/strict';
import { test } from 'node:test';
import { webhookAt } from './receiver.ts';

test('a webhook is named by its server: what lets a sender in stands in its path or its question', () => {
  for (const text of ['https://chat.example/services/T1/B2/secret', 'https://chat.example/?token=secret', 'https://user:secret@chat.example/secret']) assert.equal(webhookAt(new URL(text)), 'webhook https://chat.example/…');
  assert.equal(webhookAt(new URL('https://chat.example:8443')), 'webhook https://chat.example:8443');
});
