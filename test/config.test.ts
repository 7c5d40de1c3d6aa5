import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeConfig, readConfig } from '../src/config.ts';
import { CallerError } from '../src/domain/errors.ts';

test('defaults', () => {
  const config = readConfig({});
  assert.equal(config.host, '127.0.0.1');
  assert.equal(config.port, 4000);
  assert.equal(config.databaseUrl, undefined);
  assert.equal(config.device, 'cpu');
});

test('a blank variable counts as unset', () => {
  assert.equal(readConfig({ PORT: '', DATABASE_URL: '' }).port, 4000);
});

for (const [name, value] of Object.entries({ PORT: '70000', DEVICE: 'tpu', DATABASE_URL: 'mysql://u:hunter2@h/d', WORKERS: '0', LOG_LEVEL: 'loud', OPENAI_BASE_URL: 'hunter2@nowhere', MEILI_URL: 'http://me:hunter2@h:7700', MEILI_KEY: 'hunter2 hunter2', MEILI_INDEX: 'hunter2/', CORS_ORIGINS: 'https://hunter2.example/path', HOSTS: 'hunter2 x', BODY_BYTES: '1', REQUEST_SECONDS: '-1', METRICS: 'hunter2', OTEL_EXPORTER_OTLP_ENDPOINT: 'hunter2', MAX_COST: '0' })) {
  test(`a wrong ${name} is named, its value is not shown`, () => {
    assert.throws(
      () => readConfig({ [name]: value }),
      (error: unknown) => error instanceof CallerError && error.code === 'BAD_CONFIG' && error.message.includes(name) && !error.message.includes('hunter2'),
    );
  });
}

test('how the API meets the network: lists by commas, numbers, defaults left to the server', () => {
  const { api } = readConfig({ CORS_ORIGINS: 'https://a.example, http://b.example:8080', HOSTS: 'catalog.example', REQUEST_SECONDS: '2.5', METRICS: 'off', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318' });
  assert.deepEqual([api.corsOrigins, api.hosts, api.requestSeconds, api.metrics, api.traces], [['https://a.example', 'http://b.example:8080'], ['catalog.example'], 2.5, false, 'http://127.0.0.1:4318']);
  const none = readConfig({}).api;
  assert.deepEqual([none.corsOrigins, none.hosts, none.requestSeconds, none.metrics, none.traces, none.safelist], [undefined, undefined, undefined, true, undefined, undefined]);
  const shown = (METRICS: string) => readConfig({ METRICS }).api;
  assert.deepEqual(['on', 'open', 'off'].map((value) => [shown(value).metrics, shown(value).metricsOpen]), [[true, false], [true, true], [false, false]]);
  assert.deepEqual(readConfig({ CORS_ORIGINS: '*' }).api.corsOrigins, ['*']);
});

test('secrets are never shown', () => {
  const config = readConfig({ DATABASE_URL: 'postgresql://me:hunter2@db/cat?password=hunter2', HF_TOKEN: 'hf_secret', OPENAI_BASE_URL: 'http://me:hunter2@llm:8000/v1', OPENAI_API_KEY: 'sk-secret', MEILI_URL: 'http://m:7700', MEILI_KEY: 'meili_secret', EXPLAIN_MODEL: 'm' });
  const shown = JSON.stringify(describeConfig(config));
  assert.ok(!/hunter2|hf_secret|sk-secret|meili_secret/.test(shown), shown);
  assert.ok(shown.includes('llm:8000') && shown.includes('"explainModel":"m"'), 'where the language model is, is no secret');
  assert.ok(shown.includes('me:'), 'the user name stays, to recognise the server by');
});

test('language models: nothing is needed, blanks count as unset', () => {
  const { languageModels } = readConfig({ OPENAI_BASE_URL: '', OPENAI_API_KEY: '' });
  assert.deepEqual(languageModels, { baseUrl: undefined, apiKey: undefined, explainModel: undefined, judgeModel: undefined, embeddingModel: undefined });
  assert.equal(readConfig({ EXPLAIN_MODEL: 'local:/models/x' }).languageModels.explainModel, 'local:/models/x');
});
