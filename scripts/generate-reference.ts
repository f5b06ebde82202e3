/** Writes the pages of docs/reference that are made from the code. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cliReference } from './cli-reference.ts';
import { failuresReference } from './failures-reference.ts';
import { openApiReference, restReference } from './rest-reference.ts';

const pages = { 'cli.md': cliReference(), 'rest-api.md': restReference(), 'openapi.json': openApiReference(), 'failures.md': await failuresReference() };
for (const [name, text] of Object.entries(pages)) writeFileSync(join(import.meta.dirname, '../docs/reference', name), text);
