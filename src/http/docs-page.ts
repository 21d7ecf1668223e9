/** The OpenAPI document as a page to read: no script, nothing from elsewhere, and one style of our own. */

interface Operation {
  readonly summary?: string;
  readonly description?: string;
  readonly tags?: readonly string[];
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content?: Readonly<Record<string, { readonly schema?: unknown }>> };
  readonly responses?: Readonly<
    Record<string, { readonly description?: string; readonly content?: Readonly<Record<string, { schema?: unknown }>> }>
  >;
}

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly description?: string;
  readonly schema?: { readonly description?: string };
}

export interface Document {
  readonly info: { readonly title: string; readonly version: string; readonly description?: string };
  readonly paths?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

export const STYLE = `
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
summary { cursor: pointer; padding: .4rem 0; }
code, pre { font: 13px/1.45 ui-monospace, monospace; }
pre { overflow: auto; padding: .6rem; border: 1px solid #8886; border-radius: 4px; max-height: 24rem; }
details { border-top: 1px solid #8886; }
details > :not(summary) { margin-left: 1.2rem; }
.method { display: inline-block; min-width: 4.5rem; font-weight: 600; }
td { padding: .1rem 1rem .1rem 0; vertical-align: top; }
`;

export function docsPage({ info, paths = {} }: Document): string {
  const groups = new Map<string, string[]>();
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(methods) as [string, Operation][]) {
      if (method === 'head') continue;
      const tag = operation.tags?.[0] ?? 'other';
      groups.set(tag, [...(groups.get(tag) ?? []), operationOf(method, path, operation)]);
    }
  }
  const body = [...groups].map(([tag, all]) => `<h2>${escaped(tag)}</h2>${all.join('')}`).join('');
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${escaped(info.title)} API</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="stylesheet" href="docs/style.css"></head>
<body><h1>${escaped(info.title)} ${escaped(info.version)}</h1><p>${escaped(info.description ?? '')}</p>
<p>As a document for programs: <a href="openapi.json">/openapi.json</a></p>${body}</body></html>`;
}

function operationOf(method: string, path: string, operation: Operation): string {
  const { summary = '', description = '', parameters = [], requestBody, responses = {} } = operation;
  const body = Object.values(requestBody?.content ?? {})[0]?.schema;
  const ok = Object.entries(responses).filter(([status]) => Number(status) < 400);
  const refused = Object.entries(responses).filter(([status]) => Number(status) >= 400);
  return `<details><summary><code><span class="method">${escaped(method.toUpperCase())}</span>${escaped(path)}</code>
${escaped(summary)}</summary>${description && `<p>${escaped(description)}</p>`}
${parameters.length > 0 ? `<table>${parameters.map(parameterOf).join('')}</table>` : ''}
${body ? `<p>Body</p>${schemaOf(body)}` : ''}
${ok.map(([status, answer]) => `<p>${status} ${escaped(answer.description ?? '')}</p>${answerOf(answer)}`).join('')}
<p>${refused.map(([status, { description: why = '' }]) => `${status}: ${escaped(why)}`).join('<br>')}</p></details>`;
}

function parameterOf({ name, in: where, required, description, schema }: Parameter): string {
  const about = description ?? schema?.description ?? '';
  return `<tr><td><code>${escaped(name)}</code></td><td>${escaped(where)}${required ? ', required' : ''}</td>
<td>${escaped(about)}</td></tr>`;
}

function answerOf({ content = {} }: { readonly content?: Readonly<Record<string, { schema?: unknown }>> }): string {
  return Object.entries(content)
    .map(([type, { schema }]) => `<p><code>${escaped(type)}</code></p>${schema ? schemaOf(schema) : ''}`)
    .join('');
}

function schemaOf(schema: unknown): string {
  return `<pre>${escaped(JSON.stringify(schema, null, 2))}</pre>`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}
