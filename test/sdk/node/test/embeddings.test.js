import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { EMBED, client } from '../halley.js';

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
