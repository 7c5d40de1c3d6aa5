import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { ShownMeters } from '../../ports/Meters.ts';

/** Before every name, but those of the process. */
const PREFIX = 'catalog_';

/** Meters in a registry of their own, with those of the process and of its event loop. */
export function prometheusMeters(): ShownMeters {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  return {
    counter(name, help, labels) {
      const counter = new Counter({ name: PREFIX + name, help, labelNames: [...labels], registers });
      return { add: (values, by = 1) => counter.inc(values, by) };
    },
    histogram(name, help, labels, buckets) {
      const histogram = new Histogram({ name: PREFIX + name, help, labelNames: [...labels], buckets: [...buckets], registers });
      return { observe: (values, value) => histogram.observe(values, value) };
    },
    gauge(name, help, read) {
      const gauge: Gauge = new Gauge({ name: PREFIX + name, help, registers, collect: () => gauge.set(read()) });
    },
    total(name, help, read) {
      const counter: Counter = new Counter({
        name: PREFIX + name,
        help,
        registers,
        collect() {
          counter.reset();
          counter.inc(read());
        },
      });
    },
    show: async () => ({ type: registry.contentType, text: await registry.metrics() }),
    close: () => registry.clear(),
  };
}
