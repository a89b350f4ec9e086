import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import OpenAI from 'openai';

import { CHAT, MESSAGES, OFFLINE, UNPRICED, client, env, errorModel } from '../halley.js';

// Errors of Halley's own, one a row: what is asked with which key, and the
// SDK's class, status and code that must come of it.
const own = [
  { why: 'an unknown key', options: { apiKey: 'sk-nobody-has-this-key' }, type: OpenAI.AuthenticationError, status: 401, code: 'invalid_api_key' },
  { why: 'a disabled key', key: 'HALLEY_KEY_DISABLED', type: OpenAI.AuthenticationError, status: 401, code: 'key_disabled' },
  { why: 'an expired key', key: 'HALLEY_KEY_EXPIRED', type: OpenAI.AuthenticationError, status: 401, code: 'key_expired' },
  { why: 'a disabled owner', key: 'HALLEY_KEY_OWNER_DISABLED', type: OpenAI.AuthenticationError, status: 401, code: 'account_disabled' },
  { why: 'an exhausted key', key: 'HALLEY_KEY_EXHAUSTED', type: OpenAI.APIError, status: 402, code: 'key_quota_exhausted' },
  { why: 'an owner without balance', key: 'HALLEY_KEY_OWNER_POOR', type: OpenAI.APIError, status: 402, code: 'insufficient_balance' },
  { why: 'a foreign address', key: 'HALLEY_KEY_IP_LIMITED', type: OpenAI.PermissionDeniedError, status: 403, code: 'ip_not_allowed' },
  { why: 'a model the key does not name', key: 'HALLEY_KEY_MODEL_LIMITED', type: OpenAI.PermissionDeniedError, status: 403, code: 'model_not_allowed' },
  { why: 'a model without a price', model: UNPRICED, type: OpenAI.PermissionDeniedError, status: 403, code: 'model_not_priced' },
  { why: 'a model nobody has', model: 'script-nowhere', type: OpenAI.NotFoundError, status: 404, code: 'model_not_found' },
  { why: 'no model', model: undefined, type: OpenAI.BadRequestError, status: 400, code: 'invalid_request', param: 'model' },
  { why: 'a model of the wrong type', model: 7, type: OpenAI.BadRequestError, status: 400, code: 'invalid_request', param: 'model' },
  { why: 'no channel that works', model: OFFLINE, type: OpenAI.InternalServerError, status: 503, code: 'no_channel_available' },
  { why: 'an upstream that refuses our key', model: errorModel(401), type: OpenAI.InternalServerError, status: 502, code: 'upstream_error' },
  { why: 'an upstream that wants our money', model: errorModel(402), type: OpenAI.InternalServerError, status: 502, code: 'upstream_error' },
];

// Errors of the upstream, which come back as they are.
const upstream = [
  { status: 400, type: OpenAI.BadRequestError },
  { status: 404, type: OpenAI.NotFoundError },
  { status: 409, type: OpenAI.ConflictError },
  { status: 422, type: OpenAI.UnprocessableEntityError },
  { status: 429, type: OpenAI.RateLimitError },
  { status: 500, type: OpenAI.InternalServerError },
  { status: 503, type: OpenAI.InternalServerError },
];

async function failure(promise) {
  try {
    await promise;
  } catch (err) {
    return err;
  }
  assert.fail('the call succeeded');
}

for (const stream of [false, true]) {
  describe(`errors of ${stream ? 'streamed' : 'plain'} requests`, () => {
    for (const row of own) {
      it(`${row.why}: ${row.status} ${row.code}`, async () => {
        const err = await failure(
          client(row.key, row.options).chat.completions.create({
            messages: MESSAGES,
            stream,
            ...('model' in row ? { model: row.model } : { model: CHAT }),
          }),
        );
        assert.ok(err instanceof row.type, `is a ${err.constructor.name}: ${err.message}`);
        assert.equal(err.status, row.status);
        assert.equal(err.code, row.code);
        assert.equal(typeof err.type, 'string');
        assert.match(err.message, /\(request id: [^)]+\)/);
        assert.ok(err.requestID && err.message.includes(`(request id: ${err.requestID})`), `request id ${err.requestID} in ${err.message}`);
        if (row.param) assert.equal(err.param, row.param);
        for (const secret of [env('HALLEY_API_KEY'), 'sk-nobody-has-this-key']) {
          assert.ok(!err.message.includes(secret), 'the message gives a key away');
        }
      });
    }
    for (const row of upstream) {
      it(`the upstream's own ${row.status} comes back as it is`, async () => {
        const err = await failure(
          client().chat.completions.create({ model: errorModel(row.status), messages: MESSAGES, stream }),
        );
        assert.ok(err instanceof row.type, `is a ${err.constructor.name}: ${err.message}`);
        assert.equal(err.status, row.status);
        assert.equal(err.code, `scripted_${row.status}`);
        assert.equal(err.message, `${row.status} The script answers with this error.`);
      });
    }
  });
}

describe('errors of other endpoints', () => {
  it('embeddings refuse like chat', async () => {
    const err = await failure(
      client('HALLEY_KEY_DISABLED').embeddings.create({ model: 'script-embed', input: 'a', encoding_format: 'float' }),
    );
    assert.ok(err instanceof OpenAI.AuthenticationError);
    assert.equal(err.code, 'key_disabled');
  });

  it('models refuse like chat', async () => {
    const err = await failure(client(undefined, { apiKey: 'sk-nobody-has-this-key' }).models.list());
    assert.ok(err instanceof OpenAI.AuthenticationError);
    assert.equal(err.code, 'invalid_api_key');
  });

  it('an unknown path is a 404 in JSON', async () => {
    const err = await failure(client().post('/no/such/path', { body: {} }));
    assert.ok(err instanceof OpenAI.NotFoundError);
    assert.match(err.message, /request id: /);
  });

  it('a body that is not JSON is a 400', async () => {
    const response = await fetch(`${env('HALLEY_BASE_URL')}/chat/completions`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${env('HALLEY_API_KEY')}`, 'Content-Type': 'application/json' },
      body: '{"model": "script-chat", ',
    });
    assert.equal(response.status, 400);
    assert.equal((await response.json()).error.code, 'invalid_request');
  });
});
