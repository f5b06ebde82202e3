/** The text format 0.0.4 of Prometheus: one HELP and one TYPE for a metric, then its samples. */

export type Metric = {
  readonly name: string;
  readonly help: string;
  readonly type: 'gauge' | 'counter';
  readonly samples: readonly { readonly labels?: Readonly<Record<string, string>>; readonly value: number }[];
};

const escaped: Readonly<Record<string, string>> = { '\\': '\\\\', '"': '\\"', '\n': '\\n' };

/** Metrics without a sample are left out: their absence says that nothing is known. */
export function expositionOf(metrics: readonly Metric[]): string {
  return metrics
    .filter(({ samples }) => samples.length > 0)
    .map(({ name, help, type, samples }) => `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${samples.map(({ labels = {}, value }) => `${name}${labelsOf(labels)} ${value}\n`).join('')}`)
    .join('');
}

function labelsOf(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${value.replaceAll(/[\\"\n]/g, (sign) => escaped[sign]!)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}
