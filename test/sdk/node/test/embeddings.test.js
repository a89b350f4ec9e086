import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { GoogleGenAI } from '@google/genai';

import { EMBED, client, env } from '../halley.js';

describe('embeddings', () => {
  it('embeds one text', async () => {
    const answer = await client().embeddings.create({ model: EMBED, input: 'comet', encoding_format: 'float' });
    assert.deepEqual(answer.data.map((d) => d.embedding), [[0.5, -0.25, 0.125]]);
    assert.equal(answer.usage.prompt_tokens, 3);
  });

  it('embeds several', async () => {
    const answer = await client().embeddings.create({ model: EMBED, input: ['a', 'b', 'c'], encoding_format: 'float' });
    assert.deepEqual(answer.data.map((d) => d.index), [0, 1, 2]);
    assert.equal(answer.usage.prompt_tokens, 9);
  });
});

// An upstream of OpenAI's form, asked in Google's.
describe('embeddings by @google/genai', () => {
  const google = () =>
    new GoogleGenAI({
      apiKey: env('HALLEY_API_KEY'),
      vertexai: false,
      httpOptions: { baseUrl: env('HALLEY_BASE_URL').replace(/\/v1$/, '') },
    });

  it('embeds one text', async () => {
    const answer = await google().models.embedContent({ model: EMBED, contents: 'comet' });
    assert.deepEqual(answer.embeddings.map((e) => e.values), [[0.5, -0.25, 0.125]]);
  });

  it('embeds several, for a purpose', async () => {
    const answer = await google().models.embedContent({
      model: EMBED,
      contents: ['a', 'b', 'c'],
      config: { taskType: 'RETRIEVAL_QUERY', outputDimensionality: 3 },
    });
    assert.equal(answer.embeddings.length, 3);
  });

  it('is told of models that are not there', async () => {
    await assert.rejects(google().models.embedContent({ model: 'script-nowhere', contents: 'a' }), (err) => {
      assert.equal(err.status, 404);
      return true;
    });
  });
});
