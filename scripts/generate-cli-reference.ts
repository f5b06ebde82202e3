import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cliReference } from './cli-reference.ts';

writeFileSync(join(import.meta.dirname, '../docs/reference/cli.md'), cliReference());
