/** The reference of the REST API, made from the routes: a page to read and the OpenAPI document. */
import * as z from 'zod';
import { openApiOf } from '../src/contract/openapi.ts';
import { permissions, type Route } from '../src/contract/route.ts';
import { routes } from '../src/contract/routes.ts';

type Schema = Record<string, unknown>;

/** The document names no version of the product: it changes when the contract does. */
export function openApiReference(): string {
  return `${JSON.stringify(openApiOf('1'), null, 2)}\n`;
}

export function restReference(): string {
  const all = Object.entries(routes) as [string, Route][];
  const list = all.map(([name, route]) => `| [\`${route.method} ${route.path}\`](#${anchor(name)}) | ${route.summary} |`);
  const rights = Object.entries(permissions).map(([name, says]) => `| \`${name}\` | ${says} |`);
  return `# The REST API

Made from the contract (\`src/contract/routes\`) by \`npm run reference\`; a test fails when this page is not what it says. The same as
OpenAPI 3.1: [openapi.json](openapi.json), or \`GET /api/v1/openapi.json\` of a running server.

Every request carries \`Authorization: Bearer TOKEN\`; without a valid one nothing is answered but 401, whatever the path. The server's
certificate is of its own authority, \`ca.pem\` in the data directory. Questions and answers are JSON and are both checked against the
schemas below; unknown fields of a question are ignored. A failure is answered with a status of 400 or above and one shape,
\`{"code", "message", "hint", "retry", "details"}\`; [failures.md](failures.md) has every code.

Long work answers 202 with a session; \`GET /api/v1/sessions/:session/events\` shows it live. Times that end in \`Ms\` are UTC
milliseconds; \`{"t", "i"}\` is a cluster time.

| Route | |
|---|---|
${list.join('\n')}

## Permissions

| Permission | Allows |
|---|---|
${rights.join('\n')}

${all.map(([name, route]) => section(name, route)).join('\n')}
## Named shapes

${named().join('\n')}`;
}

/** What several answers are made of, field by field. */
function named(): string[] {
  const { components } = openApiOf('1') as { components: { schemas: Record<string, Schema> } };
  return Object.entries(components.schemas)
    .filter(([name]) => !name.endsWith('Input'))
    .map(([name, schema]) => {
      const choices = (schema['anyOf'] ?? schema['oneOf']) as Schema[] | undefined;
      if (choices !== undefined) return `### ${name}\n\nOne of:\n\n${choices.map((choice) => `- ${typeOf(choice, 1)}`).join('\n')}\n`;
      const fields = Object.entries((schema['properties'] ?? {}) as Record<string, Schema>);
      return `### ${name}\n\n| Field | Type |\n|---|---|\n${fields.map(([field, type]) => `| \`${field}\` | ${typeOf(type, 1).replaceAll('|', '\\|')} |`).join('\n')}\n`;
    });
}

function section(name: string, route: Route): string {
  const fields = [...fieldsOf('path', route.params), ...fieldsOf('query', route.query), ...fieldsOf('body', route.body)];
  const asked = fields.length === 0 ? '' : `\n| Field | In | Type | |\n|---|---|---|---|\n${fields.join('\n')}\n`;
  const failures = route.failures.length === 0 ? '' : `\nFails with ${route.failures.map((code) => `\`${code}\``).join(', ')}.\n`;
  const kind = route.stream === true ? 'a stream of server-sent events, the data of each' : '';
  return `## ${name}

\`${route.method} ${route.path}\` · permission \`${route.permission}\` · answers ${route.status}

${route.summary}
${asked}
Answer: ${kind === '' ? '' : `${kind} `}${typeOf(jsonOf(route.answer, 'output'))}.
${failures}`;
}

function anchor(name: string): string {
  return name.replaceAll('.', '').toLowerCase();
}

function fieldsOf(place: string, schema: z.ZodObject | undefined): string[] {
  if (schema === undefined) return [];
  const { properties = {}, required = [] } = jsonOf(schema, 'input') as { properties?: Record<string, Schema>; required?: string[] };
  return Object.entries(properties).map(([name, field]) => {
    const usual = 'default' in field ? `usually \`${JSON.stringify(field['default'])}\`` : required.includes(name) ? 'required' : 'optional';
    return `| \`${name}\` | ${place} | ${typeOf(field).replaceAll('|', '\\|')} | ${[usual, field['description']].filter((word) => word !== undefined).join('; ')} |`;
  });
}

function jsonOf(schema: z.ZodType, io: 'input' | 'output'): Schema {
  return z.toJSONSchema(schema, { io, reused: 'inline' }) as Schema;
}

/** A schema in one line: `{"a": text, "b"?: number}`. Named schemas deeper than two levels are only named. */
function typeOf(schema: Schema, depth = 0): string {
  if (schema['$ref'] !== undefined) return `\`${String(schema['$ref']).split('/').at(-1)}\``;
  if (depth > 0 && schema['id'] !== undefined) return `\`${schema['id']}\``;
  if (schema['const'] !== undefined) return `\`${JSON.stringify(schema['const'])}\``;
  if (schema['enum'] !== undefined) return (schema['enum'] as unknown[]).map((value) => `\`${String(value)}\``).join(' | ');
  const choices = (schema['anyOf'] ?? schema['oneOf']) as Schema[] | undefined;
  if (choices !== undefined) return [...new Set(choices.map((choice) => typeOf(choice, depth + 1)))].join(' | ');
  if (Array.isArray(schema['type'])) return schema['type'].map((type: string) => typeOf({ ...schema, type }, depth)).join(' | ');
  switch (schema['type']) {
    case 'array':
      return `list of ${typeOf((schema['items'] ?? {}) as Schema, depth + 1)}`;
    case 'object': {
      const required = (schema['required'] ?? []) as string[];
      const fields = Object.entries((schema['properties'] ?? {}) as Record<string, Schema>);
      if (fields.length === 0) return 'object';
      return `{ ${fields.map(([name, field]) => `${name}${required.includes(name) ? '' : '?'}: ${typeOf(field, depth + 1)}`).join(', ')} }`;
    }
    case 'string':
      return 'text';
    case 'integer':
      return 'integer';
    case 'null':
      return 'null';
    default:
      return typeof schema['type'] === 'string' ? schema['type'] : 'anything';
  }
}
