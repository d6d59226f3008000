// A real OpenID provider (npm oidc-provider) with everything in memory, for the
// tests and for `make quickstart`: discovery, PKCE, rotation with reuse detection,
// revocation, userinfo, and `iss` in its answers (RFC 9207).
//
//   node provider.mjs [JSON]
//
// Settings come from the JSON, or each from the environment as OPENID_<NAME>
// (AUTO_LOGIN also as it is). It prints "ready ISSUER" once it listens, a line
// "token COUNT GRANT_TYPE STATUS [ERROR]" or "revoke COUNT STATUS" per such
// request, and stops at the end of standard input or at SIGTERM.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';

const defaults = {
	host: '127.0.0.1',
	port: 0,
	socket: '', // a Unix socket's path instead; `issuer` is required then
	issuer: '', // the address that it listens on, if not given
	cert: '', // PEM files; both make it https
	key: '',
	// What oidc-provider knows of a client; without redirect_uris, whatever path
	// /oauth/<provider>/callback on https or a loopback host.
	clients: [{ client_id: 'app', client_secret: 'a-secret-of-the-tests' }],
	scopes: ['openid', 'offline_access', 'email', 'calendar.read'],
	pkce_required: true,
	rotate: true,
	rotation_grace: 0, // seconds in which a refresh token that was rotated still works
	access_token_ttl: 3600,
	auto_login: '', // a name: logs in and consents by itself
	detached: false, // the end of standard input means nothing
};

function settingsFrom(environment, json) {
	const settings = { ...defaults };
	for (const name of Object.keys(defaults)) {
		const text = environment[`OPENID_${name.toUpperCase()}`];
		if (text === undefined) continue;
		settings[name] = typeof defaults[name] === 'string' ? text : JSON.parse(text);
	}
	settings.auto_login ||= environment.AUTO_LOGIN ?? '';
	return { ...settings, ...JSON.parse(json ?? '{}') };
}

const settings = settingsFrom(process.env, process.argv[2]);

// Standard output is for the lines promised above; what the package has to say goes
// where errors go.
console.info = console.warn = console.error;
const { default: Provider } = await import('oidc-provider');

const anyCallback = /^(https:\/\/[^/]+|http:\/\/(localhost|127\.0\.0\.1|\[::1\])(:\d+)?)\/oauth\/[^/]+\/callback$/;

function makeProvider(issuer) {
	const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
	const seconds = (count) => () => count;
	const provider = new Provider(issuer, {
		adapter: MemoryAdapter,
		clients: settings.clients.map((client) => ({
			grant_types: ['authorization_code', 'refresh_token'],
			response_types: ['code'],
			...client,
			redirect_uris: client.redirect_uris ?? ['http://localhost/oauth/any/callback'],
		})),
		clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'none'],
		jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256' }] },
		cookies: { keys: [randomBytes(32).toString('hex')] },
		scopes: settings.scopes,
		claims: { openid: ['sub'], email: ['email', 'email_verified'] },
		conformIdTokenClaims: false, // the email stands in the ID token
		findAccount: (ctx, login) => ({
			accountId: login,
			claims: () => ({ sub: login, email: `${login}@example.org`, email_verified: true }),
		}),
		pkce: { methods: ['S256'], required: () => settings.pkce_required },
		rotateRefreshToken: settings.rotate,
		features: { devInteractions: { enabled: false }, revocation: { enabled: true } },
		interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
		renderError: (ctx, out) => {
			ctx.type = 'html';
			ctx.body = page('error', `<pre>${escape(`${out.error}: ${out.error_description}`)}</pre>`);
		},
		ttl: {
			AccessToken: seconds(settings.access_token_ttl),
			AuthorizationCode: seconds(60),
			Grant: seconds(86400),
			IdToken: seconds(3600),
			Interaction: seconds(3600),
			RefreshToken: seconds(86400),
			Session: seconds(86400),
		},
	});
	const anywhere = new Set(
		settings.clients.filter((client) => !client.redirect_uris).map((client) => client.client_id),
	);
	const allowed = provider.Client.prototype.redirectUriAllowed;
	provider.Client.prototype.redirectUriAllowed = function redirectUriAllowed(uri) {
		return anywhere.has(this.clientId) ? anyCallback.test(uri) : allowed.call(this, uri);
	};
	provider.use(countRequests);
	provider.use((ctx, next) => interact(provider, ctx, next));
	return provider;
}

// Keeps everything until the process ends; what has expired, oidc-provider sees itself.
class MemoryAdapter {
	static rows = new Map();

	constructor(model) {
		this.model = model;
	}

	key = (id) => `${this.model}:${id}`;
	where(field, value) {
		for (const [key, row] of MemoryAdapter.rows) {
			if (key.startsWith(`${this.model}:`) && row[field] === value) return row;
		}
		return undefined;
	}

	async upsert(id, payload) {
		MemoryAdapter.rows.set(this.key(id), payload);
	}
	async find(id) {
		return MemoryAdapter.rows.get(this.key(id));
	}
	async findByUid(uid) {
		return this.where('uid', uid);
	}
	async findByUserCode(code) {
		return this.where('userCode', code);
	}
	async consume(id) {
		const row = MemoryAdapter.rows.get(this.key(id));
		const spend = () => { row.consumed = Math.floor(Date.now() / 1000); };
		if (this.model === 'RefreshToken' && settings.rotation_grace > 0) setTimeout(spend, settings.rotation_grace * 1000);
		else spend();
	}
	async destroy(id) {
		MemoryAdapter.rows.delete(this.key(id));
	}
	async revokeByGrantId(grantId) {
		for (const [key, row] of MemoryAdapter.rows) {
			if (row.grantId === grantId) MemoryAdapter.rows.delete(key);
		}
	}
}

const counts = { token: 0, revoke: 0 };

async function countRequests(ctx, next) {
	await next();
	if (ctx.method !== 'POST') return;
	const error = ctx.body?.error ? ` ${ctx.body.error}` : '';
	if (ctx.path === '/token') {
		const grant = ctx.oidc?.params?.grant_type ?? '-';
		console.log(`token ${(counts.token += 1)} ${grant} ${ctx.status}${error}`);
	} else if (ctx.path === '/token/revocation') {
		console.log(`revoke ${(counts.revoke += 1)} ${ctx.status}${error}`);
	}
}

// Its two pages: who are you, and may they.

async function interact(provider, ctx, next) {
	if (!/^\/interaction\/[^/]+$/.test(ctx.path)) return next();
	const { prompt, params, session, grantId } = await provider.interactionDetails(ctx.req, ctx.res);
	const form = ctx.method === 'POST' ? await readForm(ctx.req) : undefined;
	const auto = settings.auto_login;
	const answer = (result) => finish(provider, ctx, result);

	if (form?.has('cancel')) {
		return answer({ error: 'access_denied', error_description: 'the user said no' });
	}
	if (prompt.name === 'login') {
		const login = form?.get('login') || (auto && (params.login_hint || auto));
		if (login) return answer({ login: { accountId: login } });
		return show(ctx, 'log in', '<input name="login" placeholder="name" autofocus>');
	}
	const asked = (params.scope ?? '').split(' ').filter(Boolean);
	const granted = auto ? asked : form?.getAll('scope');
	if (granted) {
		return answer({ consent: { grantId: await grant(provider, grantId, session, params, prompt, granted) } });
	}
	return show(ctx, `${params.client_id} asks`, asked.map((scope) => (
		`<label><input type="checkbox" name="scope" value="${escape(scope)}" checked> ${escape(scope)}</label><br>`
	)).join(''));
}

async function finish(provider, ctx, result) {
	ctx.status = 303;
	ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, result));
}

async function grant(provider, grantId, session, params, prompt, granted) {
	const found = grantId && await provider.Grant.find(grantId);
	const kept = found || new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
	const asked = params.scope.split(' ');
	kept.addOIDCScope(asked.filter((scope) => granted.includes(scope)).join(' '));
	kept.rejectOIDCScope(asked.filter((scope) => !granted.includes(scope)).join(' '));
	if (prompt.details.missingOIDCClaims) kept.addOIDCClaims(prompt.details.missingOIDCClaims);
	return kept.save();
}

function show(ctx, title, fields) {
	ctx.type = 'html';
	ctx.set('cache-control', 'no-store');
	ctx.body = page(title, `<form method="post">${fields}
		<button name="go" value="1">Continue</button> <button name="cancel" value="1">Cancel</button></form>`);
}

function page(title, body) {
	return `<!doctype html><meta charset="utf-8"><title>${escape(title)}</title><h1>${escape(title)}</h1>${body}`;
}

function escape(text) {
	return String(text).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

async function readForm(request) {
	let body = '';
	for await (const chunk of request) body += chunk;
	return new URLSearchParams(body);
}

const tls = settings.cert !== '';
const server = tls
	? createTlsServer({ cert: readFileSync(settings.cert), key: readFileSync(settings.key) })
	: createServer();
server.listen(settings.socket ? { path: settings.socket } : { port: settings.port, host: settings.host }, () => {
	const { port } = server.address();
	const issuer = settings.issuer || `${tls ? 'https' : 'http'}://${settings.host}:${port}`;
	server.on('request', makeProvider(issuer).callback());
	console.log(`ready ${issuer}`);
});

process.on('SIGTERM', () => process.exit(0));
if (!settings.detached) {
	process.stdin.on('end', () => process.exit(0)).resume();
}
