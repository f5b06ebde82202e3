/** The OpenAPI 3.1 description of every route, made from the same schemas that validate them. */
import * as z from 'zod';
import type { Route } from './route.ts';
import { failureAnswer, routes } from './routes.ts';

type Schema = Record<string, unknown>;

export function openApiOf(version: string): Schema {
  const components: Record<string, Schema> = {};
  const schemaOf = (schema: z.ZodType, io: 'input' | 'output'): Schema => {
    const { $schema: _dialect, $defs, ...own } = z.toJSONSchema(schema, { io, target: 'draft-2020-12' }) as Schema & { $defs?: Record<string, Schema> };
    for (const [name, definition] of Object.entries($defs ?? {})) components[name] = relocated(definition);
    const id = z.globalRegistry.get(schema)?.id;
    // A named schema that refers to itself is among its own definitions already.
    if (id === undefined || own['$ref'] !== undefined) return relocated(own);
    components[id] = relocated(own);
    return { $ref: `#/components/schemas/${id}` };
  };
  components['Failure'] = schemaOf(failureAnswer, 'output');

  const paths: Record<string, Record<string, Schema>> = {};
  for (const [name, route] of Object.entries(routes) as [string, Route][]) {
    const path = route.path.replace(/:([a-z]+)/g, '{$1}');
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(name, route, schemaOf) };
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Tidemark', version, description: 'Every call carries a token: `Authorization: Bearer …`. Failures have one shape everywhere.' },
    security: [{ token: [] }],
    paths,
    components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } }, schemas: Object.fromEntries(Object.entries(components).sort(([a], [b]) => (a < b ? -1 : 1))) },
  };
}

function operation(name: string, route: Route, schemaOf: (schema: z.ZodType, io: 'input' | 'output') => Schema): Schema {
  const fields = (place: 'path' | 'query', schema: z.ZodObject | undefined): Schema[] =>
    Object.entries(schema?.shape ?? {}).map(([field, value]) => ({ name: field, in: place, required: place === 'path' || !value.safeParse(undefined).success, schema: schemaOf(value as z.ZodType, 'input') }));
  const parameters = [...fields('path', route.params), ...fields('query', route.query)];
  const type = route.stream === true ? 'text/event-stream' : (route.text ?? 'application/json');
  return {
    operationId: name,
    summary: route.summary,
    description: [`Needs the permission \`${route.permission}\`.`, ...(route.failures.length === 0 ? [] : [`Can fail with ${route.failures.map((code) => `\`${code}\``).join(', ')}.`])].join(' '),
    ...(parameters.length > 0 && { parameters }),
    ...(route.body && { requestBody: { required: true, content: { 'application/json': { schema: schemaOf(route.body, 'input') } } } }),
    responses: {
      [route.status]: { description: route.stream === true ? 'A stream of events; the schema is that of one event.' : 'The answer.', content: { [type]: { schema: schemaOf(route.answer, 'output') } } },
      default: { description: 'A failure.', content: { 'application/json': { schema: { $ref: '#/components/schemas/Failure' } } } },
    },
  };
}

/** References from a schema's own definitions to the page's components. */
function relocated(schema: Schema): Schema {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/$defs/', '"#/components/schemas/')) as Schema;
}
